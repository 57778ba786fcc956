/** Many files on their way to one dataset: a few at a time, going on where they stopped. */

import { Upload } from "tus-js-client";
import { address } from "./client";

export interface Picked {
  file: File;
  /** Relative to what was dropped, with the file's own name. */
  path: string;
}

export interface UploadProgress {
  files: number;
  done: number;
  failed: string[];
  bytes: number;
  sent: number;
  /** Bytes a second, over the last seconds. */
  rate: number;
  problem: string;
}

const AT_ONCE = 4;
const PIECE_BYTES = 64 * 2 ** 20;
const RETRY_MS = [0, 1000, 3000, 5000, 10_000, 20_000, 30_000, 60_000];
const RATE_MS = 5000;

/** Sends files; `stop` may be called at any time, and the same files picked again go on. */
export class Uploading {
  private readonly waiting: Picked[];
  private readonly running = new Map<Picked, Upload>();
  private readonly sentOf = new Map<Picked, number>();
  private readonly marks: [number, number][] = [];
  private readonly state: UploadProgress;
  private isStopped = false;

  constructor(
    private readonly dataset: string,
    picked: Picked[],
    private readonly told: (progress: UploadProgress) => void,
    private readonly ended: (failed: string[]) => void,
  ) {
    this.waiting = [...picked];
    const bytes = picked.reduce((sum, { file }) => sum + file.size, 0);
    this.state = { files: picked.length, done: 0, failed: [], bytes, sent: 0, rate: 0, problem: "" };
  }

  start(): void {
    for (let index = 0; index < AT_ONCE; index++) this.next();
    if (!this.waiting.length && !this.running.size) this.ended([]);
  }

  stop(): void {
    this.isStopped = true;
    for (const upload of this.running.values()) void upload.abort();
  }

  private next(): void {
    const picked = this.isStopped ? undefined : this.waiting.shift();
    if (!picked) {
      if (!this.running.size && !this.isStopped) this.ended(this.state.failed);
      return;
    }
    const upload = this.make(picked);
    this.running.set(picked, upload);
    upload.findPreviousUploads().then((former) => {
      if (former[0]) upload.resumeFromPreviousUpload(former[0]);
      if (!this.isStopped) upload.start();
    }, () => upload.start());
  }

  private make(picked: Picked): Upload {
    const { file, path } = picked;
    return new Upload(file, {
      endpoint: address("tus/"),
      metadata: { dataset: this.dataset, filename: file.name, relative_path: path },
      chunkSize: PIECE_BYTES,
      retryDelays: RETRY_MS,
      removeFingerprintOnSuccess: true,
      fingerprint: () => Promise.resolve(["scientistcloud", this.dataset, path, file.size, file.lastModified].join("|")),
      onProgress: (sent) => this.progressed(picked, sent),
      onShouldRetry: (error) => {
        this.state.problem = error.message.slice(0, 300);
        const status = error.originalResponse?.getStatus() ?? 0;
        return status === 0 || status >= 500 || status === 409 || status === 423 || status === 429;
      },
      onSuccess: () => this.leave(picked, ""),
      onError: (error) => this.leave(picked, error.message),
    });
  }

  private progressed(picked: Picked, sent: number): void {
    this.state.sent += sent - (this.sentOf.get(picked) ?? 0);
    this.sentOf.set(picked, sent);
    this.state.problem = "";
    const now = performance.now();
    this.marks.push([now, this.state.sent]);
    while (this.marks.length > 2 && now - (this.marks[0] as [number, number])[0] > RATE_MS) this.marks.shift();
    const [at, before] = this.marks[0] as [number, number];
    this.state.rate = now > at ? ((this.state.sent - before) / (now - at)) * 1000 : 0;
    this.told({ ...this.state });
  }

  private leave(picked: Picked, problem: string): void {
    this.running.delete(picked);
    if (problem) {
      this.state.failed.push(picked.path);
      this.state.problem = readable(problem);
    } else {
      this.progressed(picked, picked.file.size);
      this.state.done += 1;
    }
    this.told({ ...this.state });
    this.next();
  }
}

/** The server's own sentence out of what the client makes of an answer. */
function readable(problem: string): string {
  const found = /"detail":\s*"((?:[^"\\]|\\.)*)"/.exec(problem.replaceAll("\\\"", '"'));
  return found?.[1] ?? problem.slice(0, 300);
}

/** What was dropped: files, and folders with all that is in them. */
export async function pickedFrom(items: DataTransferItemList): Promise<Picked[]> {
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  const found: Picked[] = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

export function pickedFiles(files: FileList): Picked[] {
  return [...files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}

async function walk(entry: FileSystemEntry, folder: string, found: Picked[]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    found.push({ file, path: folder + entry.name });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const each of some) await walk(each, `${folder}${entry.name}/`, found);
  }
}
