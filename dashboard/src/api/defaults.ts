import { useQuery } from "@tanstack/preact-query";
import { answer, api } from "./client";

/** Return the service's defaults for fields that a form leaves out. */
export function useDefaults() {
  return useQuery({
    queryKey: ["defaults"],
    queryFn: () => answer(api.GET("/v1/defaults")),
    staleTime: 60_000,
  });
}
