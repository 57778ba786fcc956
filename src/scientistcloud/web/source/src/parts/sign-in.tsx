/** Signing in with a token or key, where the server tells people apart. */

import { useState } from "preact/hooks";
import { send } from "../api/client";
import { t } from "../words";
import { Failure } from "./failure";

export function SignIn({ onDone }: { onDone: () => void }) {
  const [text, setText] = useState("");
  const [failure, setFailure] = useState<unknown>(null);
  return (
    <form
      class="stack" onSubmit={(event) => {
        event.preventDefault();
        send("POST", "session", undefined, { authorization: `Bearer ${text.trim()}` }).then(onDone, setFailure);
      }}
    >
      <h1>{t("sign_in")}</h1>
      <label>{t("token")}<input type="password" autoComplete="off" required value={text} onInput={(event) => setText(event.currentTarget.value)} /></label>
      <button class="main">{t("sign_in")}</button>
      {failure !== null && <Failure error={failure} />}
    </form>
  );
}
