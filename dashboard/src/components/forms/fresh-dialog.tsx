import { type QueryKey, useQuery } from "@tanstack/preact-query";
import type { ComponentChildren } from "preact";
import type { Tagged } from "../../api/client";
import { Loading } from "../states/loading";
import { ProblemNote } from "../states/problem";
import { Dialog } from "./dialog";
import type { Editing } from "./edited";

interface Props<T> {
  title: string;
  name: QueryKey;
  read: () => Promise<Tagged<T>>;
  onClose: () => void;
  children: (editing: Editing<T>) => ComponentChildren;
}

/** A dialog that first reads the current state of what it edits, with the ETag that saving it requires. */
export function FreshDialog<T>({ title, name, read, onClose, children }: Props<T>) {
  const { data, error } = useQuery({
    queryKey: name,
    queryFn: read,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  if (data) return children({ seen: data, read });
  return (
    <Dialog title={title} onClose={onClose}>
      {error ? <ProblemNote error={error} /> : <Loading />}
    </Dialog>
  );
}
