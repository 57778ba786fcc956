/** Boxes of samples, as the server cuts them. */

import { decode, type Values } from "../viewer/samples";
import type { Box } from "../viewer/grid";
import type { Description } from "../viewer/description";
import { call, get } from "./client";

export interface BoxRequest {
  field: string;
  time: number;
  resolution: number;
  box: Box;
}

export function describe(uuid: string): Promise<Description> {
  return get<Description>(`datasets/${encodeURIComponent(uuid)}/description`);
}

/** The samples of a box; x fastest, components interleaved. */
export function boxFetcher(description: Description): (request: BoxRequest, signal: AbortSignal) => Promise<Values> {
  const kinds = new Map(description.fields.map((field) => [field.name, field.dtype]));
  return async ({ field, time, resolution, box }, signal) => {
    const ends = box.from.flatMap((from, axis) => [from, box.to[axis]]);
    const answer = await call(`datasets/${encodeURIComponent(description.uuid)}/box`, {
      query: {
        field, time, resolution, box: ends.join(","), format: "raw",
        generation: description.generation,
      },
      signal,
    });
    return decode(kinds.get(field) ?? "", await answer.arrayBuffer());
  };
}
