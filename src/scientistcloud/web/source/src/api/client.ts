/** Calls of `/api/v2`: the address, the rights, and errors in the user's words. */

/** What a call did not bring, in the server's words. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly remedy: string,
  ) {
    super(message);
  }
}

/** The token of a share link, where the page was opened by one. */
export function linkToken(): string | null {
  return new URLSearchParams(location.search).get("token");
}

/** An address of the API, below the folder that the page is served from. */
export function address(path: string, query: Record<string, unknown> = {}): string {
  const url = new URL(`api/v2/${path}`, document.baseURI);
  for (const [name, value] of Object.entries({ ...query, token: linkToken() })) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  return url.href;
}

export interface Call {
  method?: string;
  query?: Record<string, unknown>;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Call the API; throws a `Refusal` for every answer that is no success. */
export async function call(path: string, options: Call = {}): Promise<Response> {
  const { method = "GET", query, body, signal } = options;
  const headers: Record<string, string> = { ...options.headers };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (method !== "GET") headers["x-csrf-token"] = cookie("csrf_token");
  const answer = await fetch(address(path, query), {
    method,
    headers,
    signal: signal ?? null,
    body: body === undefined ? null : JSON.stringify(body),
    credentials: "same-origin",
  });
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

export async function get<T>(path: string, query?: Record<string, unknown>, signal?: AbortSignal): Promise<T> {
  const answer = await call(path, { ...(query && { query }), ...(signal && { signal }) });
  return (await answer.json()) as T;
}

export async function send<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
  const answer = await call(path, { method, body, ...(headers && { headers }) });
  const text = await answer.text();
  return (text ? JSON.parse(text) : null) as T;
}

async function refusal(answer: Response): Promise<Refusal> {
  const body = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
  const text = (name: string): string => (typeof body[name] === "string" ? (body[name] as string) : "");
  return new Refusal(
    answer.status,
    text("code"),
    text("detail") || text("message") || text("title") || answer.statusText,
    text("remedy"),
  );
}

function cookie(name: string): string {
  const found = document.cookie.split("; ").find((each) => each.startsWith(`${name}=`));
  return decodeURIComponent(found?.slice(name.length + 1) ?? "");
}
