/** Name, tags, description, and for owners who may see it. */

import { useState } from "preact/hooks";
import type { Dataset } from "../api/datasets";
import { change } from "../api/datasets";
import { t } from "../words";
import { Dialog } from "./dialog";
import { Failure } from "./failure";

export function EditDialog({ dataset, onClose, onChanged }: { dataset: Dataset; onClose: () => void; onChanged: (dataset: Dataset) => void }) {
  const [failure, setFailure] = useState<unknown>(null);
  const save = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string): string => String(form.get(name) ?? "");
    const body: Record<string, unknown> = {
      name: text("name"),
      description: text("description"),
      tags: text("tags").split(",").map((each) => each.trim()).filter(Boolean),
    };
    if (dataset.rights.includes("manage")) {
      body.is_public = form.has("public");
      body.is_public_downloadable = form.has("public") && form.has("downloadable");
    }
    change(dataset.uuid, body).then((changed) => { onChanged(changed); onClose(); }, setFailure);
  };
  return (
    <Dialog title={t("edit")} onClose={onClose}>
      <form onSubmit={save}>
        <label>{t("name")}<input name="name" required maxLength={255} defaultValue={dataset.name} /></label>
        <label>{t("tags")}<input name="tags" defaultValue={dataset.tags.join(", ")} /></label>
        <label>{t("description")}<textarea name="description" rows={3} defaultValue={dataset.description ?? ""} /></label>
        {dataset.rights.includes("manage") && (
          <>
            <label class="check"><input type="checkbox" name="public" defaultChecked={dataset.is_public} />{t("public")}</label>
            <label class="check"><input type="checkbox" name="downloadable" defaultChecked={dataset.is_public_downloadable} />{t("downloadable")}</label>
          </>
        )}
        <button class="main">{t("save")}</button>
        {failure !== null && <Failure error={failure} />}
      </form>
    </Dialog>
  );
}
