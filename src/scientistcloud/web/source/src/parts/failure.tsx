/** What went wrong, in the server's words, with what to do about it. */

import { Refusal } from "../api/client";
import { t } from "../words";

export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const message = error instanceof Error ? error.message : String(error);
  const refusal = error instanceof Refusal ? error : null;
  return (
    <div class="failure" role="alert">
      <p><strong>{refusal?.status === 404 ? t("not_found") : message}</strong></p>
      {refusal?.remedy && <p>{refusal.remedy}</p>}
      {onRetry && <button type="button" onClick={onRetry}>{t("try_again")}</button>}
    </div>
  );
}
