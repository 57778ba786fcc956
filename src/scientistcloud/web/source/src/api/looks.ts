/** Looks at an upload before it is converted, as `/api/v2` has them. */

import { send } from "./client";

export type Parameters = Record<string, unknown>;

export interface Choice {
  parameter: string;
  chosen: string;
  rule: string;
  alternatives: string[];
}

export interface Inspected {
  format: string;
  input_count: number;
  input_bytes: number;
  inputs: string[];
  choices: Choice[];
  notes: string[];
  estimated_seconds: number | null;
  datasets: {
    path: string;
    /** x first, as the axes are. */
    dims: number[];
    axes: { name: string; spacing: number | null; units: string | null }[];
    timesteps: number;
    samples_bytes: number;
    fields: { name: string; dtype: string; components: number; units: string | null }[];
  }[];
}

export interface Glimpse {
  field: string;
  units: string | null;
  range: [number, number];
  planes: {
    across: string;
    down: string;
    still: string | null;
    at: number | null;
    width: number;
    height: number;
    is_whole: boolean;
    /** A PNG in base64. */
    png: string;
  }[];
}

export interface Look {
  sensor?: string;
  parameters?: Parameters;
}

const path = (uuid: string): string => `datasets/${encodeURIComponent(uuid)}`;

export const inspect = (uuid: string, look: Look = {}): Promise<Inspected> => send("POST", `${path(uuid)}/inspect`, look);
export const glimpse = (uuid: string, look: Look = {}): Promise<Glimpse> => send("POST", `${path(uuid)}/glimpse`, look);

