/** Which page an address shows. */

import { useEffect, useState } from "preact/hooks";
import { me as who, type Me } from "./api/datasets";
import { Failure } from "./parts/failure";
import { Frame } from "./parts/frame";
import { Datasets } from "./pages/datasets";
import { SystemPage } from "./pages/system";
import { UploadPage } from "./pages/upload";
import { View } from "./pages/view";
import { t } from "./words";

/** The part of the address below the folder that the page is served from. */
function here(): string[] {
  const base = new URL(document.baseURI).pathname;
  const path = location.pathname.startsWith(base) ? location.pathname.slice(base.length) : location.pathname.slice(1);
  return path.split("/");
}

export function App() {
  const [page, name] = here();
  const [me, setMe] = useState<Me | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  useEffect(() => {
    who().then(setMe, setFailure);
  }, []);
  if (page === "view" && name) return <View uuid={decodeURIComponent(name)} />;
  const shown = page === "upload" ? "upload" : page === "system" ? "system" : "datasets";
  document.title = `${t(shown)} · scientistcloud`;
  return (
    <Frame page={shown} me={me}>
      {failure !== null && <Failure error={failure} />}
      {shown === "upload" && <UploadPage />}
      {shown === "system" && <SystemPage />}
      {shown === "datasets" && <Datasets me={me} />}
    </Frame>
  );
}
