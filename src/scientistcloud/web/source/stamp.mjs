// Writes beside the built files which sources they are of: tests/web/test_built.py compares.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const OTHERS = ["index.html", "package-lock.json", "vite.config.ts"];

const filesIn = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((each) =>
    each.isDirectory() ? filesIn(`${folder}/${each.name}`) : [`${folder}/${each.name}`],
  );
const sha256 = (name) => createHash("sha256").update(readFileSync(name)).digest("hex");

const names = [...filesIn("src"), ...filesIn("public"), ...OTHERS].sort();
writeFileSync("../built/sources.sha256", names.map((name) => `${sha256(name)}  ${name}\n`).join(""));
