/** With whom a dataset is shared: persons, teams, whoever has a link. */

import { useEffect, useState } from "preact/hooks";
import type { Dataset, Link, Shares } from "../api/datasets";
import { links, makeLink, revokeLink, share, shares, unshare } from "../api/datasets";
import { t } from "../words";
import { Dialog } from "./dialog";
import { Failure } from "./failure";

export function ShareDialog({ dataset, onClose }: { dataset: Dataset; onClose: () => void }) {
  const { uuid } = dataset;
  const [found, setFound] = useState<Shares | null>(null);
  const [all, setAll] = useState<Link[]>([]);
  const [made, setMade] = useState("");
  const [failure, setFailure] = useState<unknown>(null);
  const load = (): void => {
    shares(uuid).then(setFound, setFailure);
    links(uuid).then(({ links: list }) => setAll(list), setFailure);
  };
  useEffect(load, [uuid]);
  const add = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    share(uuid, { email: String(new FormData(form).get("email")) }).then((now) => { setFound(now); form.reset(); }, setFailure);
  };
  const link = (download: boolean): void => {
    makeLink(uuid, download).then(({ page }) => { setMade(new URL(page, document.baseURI).href); load(); }, setFailure);
  };
  return (
    <Dialog title={t("share_of", { name: dataset.name })} onClose={onClose}>
      <div class="stack">
        <form onSubmit={add}>
          <label>{t("email")}<input type="email" name="email" required /></label>
          <button>{t("share")}</button>
        </form>
        {found && (
          <ul>
            {found.users.map(({ user }) => (
              <li key={user}>{user} <button type="button" onClick={() => unshare(uuid, { email: user }).then(setFound, setFailure)}>{t("end")}</button></li>
            ))}
            {found.teams.map(({ team, team_uuid: id }) => (
              <li key={id}>{team} <button type="button" onClick={() => unshare(uuid, { team: id }).then(setFound, setFailure)}>{t("end")}</button></li>
            ))}
          </ul>
        )}
        <div class="row">
          <button type="button" class="main" onClick={() => link(false)}>{t("make_link")}</button>
          <button type="button" onClick={() => link(true)}>{t("make_link_download")}</button>
        </div>
        {made && (
          <p class="mono" data-link={made}>
            {made} <button type="button" onClick={() => void navigator.clipboard.writeText(made)}>{t("copy")}</button>
          </p>
        )}
        <ul>
          {all.map((each) => (
            <li key={each.id}>
              {t("link_since", { date: new Date(each.created_at).toLocaleString() })}
              {each.expires_at && ` ${t("until", { date: new Date(each.expires_at).toLocaleDateString() })}`}{" "}
              <button type="button" onClick={() => revokeLink(uuid, each.id).then(load, setFailure)}>{t("revoke")}</button>
            </li>
          ))}
        </ul>
        {failure !== null && <Failure error={failure} />}
      </div>
    </Dialog>
  );
}
