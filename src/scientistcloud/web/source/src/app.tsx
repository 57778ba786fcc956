/** Which page an address shows. */

import { useEffect, useState } from "preact/hooks";
import { View } from "./pages/view";
import { t } from "./words";

/** The part of the address below the folder that the page is served from. */
function here(): string {
  const base = new URL(document.baseURI).pathname;
  return location.pathname.startsWith(base) ? location.pathname.slice(base.length) : location.pathname.slice(1);
}

export function App() {
  const [path, setPath] = useState(here);
  useEffect(() => {
    const follow = (): void => setPath(here());
    addEventListener("popstate", follow);
    return () => removeEventListener("popstate", follow);
  }, []);
  const [page, name] = path.split("/");
  if (page === "view" && name) return <View uuid={decodeURIComponent(name)} />;
  return <p>{t("datasets")}</p>;
}
