/** The permissions of the key. Screens hide the actions that it may not do. */

import { useQuery } from "@tanstack/preact-query";
import { answer, api } from "./api/client";
import type { Scope, Whoami } from "./api/schema";

export function useWhoami() {
  return useQuery({
    queryKey: ["whoami"],
    queryFn: () => answer(api.GET("/v1/whoami")),
    staleTime: 60_000,
  });
}

export interface Access {
  may: (scope: Scope) => boolean;
  /** Whether this is the root key, which manages projects. */
  operator: boolean;
  whoami: Whoami | undefined;
}

export function useAccess(): Access {
  const { data } = useWhoami();
  return {
    whoami: data,
    operator: data?.key_id === null,
    may: (scope) => data !== undefined && (data.scopes.includes(scope) || data.scopes.includes("admin")),
  };
}
