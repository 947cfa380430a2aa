import { type QueryKey, useQuery } from "@tanstack/preact-query";
import type { ComponentChildren } from "preact";
import type { Tagged } from "../api/client";
import { Dialog } from "./dialog";
import type { Editing } from "./edited";
import { ProblemNote } from "./problem";
import { Loading } from "./states";

interface Props<T> {
  title: string;
  name: QueryKey;
  read: () => Promise<Tagged<T>>;
  onClose: () => void;
  children: (editing: Editing<T>) => ComponentChildren;
}

/** A dialog about something as it is by now, which a list may not know yet, with the tag that saving it asks for. */
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
