import { useQuery } from "@tanstack/preact-query";
import { answer, api } from "./client";
import { every } from "./polling";

export function useOverview() {
  return useQuery({
    queryKey: ["queues", "overview"],
    queryFn: () => answer(api.GET("/v1/overview")),
    refetchInterval: every(5),
  });
}
