/** Datasets, as `/api/v2` has them, and what can be done to them. */

import { address, get, send } from "./client";

export interface Problem {
  code: string;
  message: string;
  remedy: string;
}

export interface Dataset {
  uuid: string;
  name: string;
  status: string;
  stage: string;
  percent: number;
  seconds_left: number | null;
  queue_position: number | null;
  waiting: string | null;
  message: string | null;
  error: Problem | null;
  sensor: string | null;
  parameters: Record<string, unknown> | null;
  description: string | null;
  tags: string[];
  owner: string | null;
  team: string | null;
  is_public: boolean;
  is_public_downloadable: boolean;
  dimensions: string | null;
  size_bytes: number | null;
  files: number | null;
  created_at: string | null;
  updated_at: string | null;
  completed_at: string | null;
  rights: string[];
  has_result: boolean;
}

export interface DatasetPage {
  datasets: Dataset[];
  next: string | null;
}

export interface Me {
  email: string | null;
  is_admin: boolean;
  teams: string[];
  auth: "none" | "token" | "portal";
  link: string | null;
  quota_bytes: number | null;
  used_bytes: number;
}

const path = (uuid: string): string => `datasets/${encodeURIComponent(uuid)}`;

export const me = (): Promise<Me> => get("me");
export const list = (query: Record<string, unknown>): Promise<DatasetPage> => get("datasets", query);
export const read = (uuid: string): Promise<Dataset> => get(path(uuid));
export const create = (body: Record<string, unknown>, key: string): Promise<Dataset> =>
  send("POST", "datasets", body, { "idempotency-key": key });
export const change = (uuid: string, body: Record<string, unknown>): Promise<Dataset> =>
  send("PATCH", path(uuid), body);
export const finish = (uuid: string): Promise<Dataset> => send("POST", `${path(uuid)}/finish`);
export const retry = (uuid: string, body: Record<string, unknown>): Promise<Dataset> =>
  send("POST", `${path(uuid)}/retry`, body);
export const cancel = (uuid: string): Promise<Dataset> => send("POST", `${path(uuid)}/cancel`);
export const remove = (uuid: string): Promise<unknown> => send("DELETE", path(uuid));
export const restore = (uuid: string): Promise<Dataset> => send("POST", `${path(uuid)}/restore`);

export interface Shares {
  users: { user: string }[];
  teams: { team: string; team_uuid: string }[];
}

export interface Link {
  id: string;
  actions: string[];
  created_at: string;
  expires_at: string | null;
}

export const shares = (uuid: string): Promise<Shares> => get(`${path(uuid)}/shares`);
export const share = (uuid: string, body: Record<string, string>): Promise<Shares> =>
  send("POST", `${path(uuid)}/shares`, body);
export const unshare = (uuid: string, query: Record<string, string>): Promise<Shares> =>
  send("DELETE", `${path(uuid)}/shares?${new URLSearchParams(query)}`);
export const links = (uuid: string): Promise<{ links: Link[] }> => get(`${path(uuid)}/links`);
export const makeLink = (uuid: string, download: boolean): Promise<{ page: string; token: string }> =>
  send("POST", `${path(uuid)}/links`, { download });
export const revokeLink = (uuid: string, id: string): Promise<unknown> =>
  send("DELETE", `${path(uuid)}/links/${encodeURIComponent(id)}`);

export const thumbnail = (uuid: string): string => address(`${path(uuid)}/preview`, { pixels: 256 });
export const zipOf = (uuid: string, directory: string): string => address(`${path(uuid)}/zip`, { directory });
