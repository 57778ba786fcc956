/** What becomes of datasets, live; goes on by itself after an outage. */

import { address } from "./client";
import type { Dataset } from "./datasets";

export type Change = Partial<Dataset> & { uuid: string };

/** Calls `changed` for each change of a dataset that is there, `gone` where one was deleted. */
export function listen(
  changed: (change: Change) => void, gone: (uuid: string) => void, reset: () => void,
): () => void {
  const source = new EventSource(address("events"));
  const on = (name: string, act: (data: Change) => void): void =>
    source.addEventListener(name, (event) => act(JSON.parse((event as MessageEvent<string>).data) as Change));
  on("dataset", changed);
  on("deleted", ({ uuid }) => gone(uuid));
  on("reset", reset);
  return () => source.close();
}
