// Whether what is new comes by itself.
import type { Link } from "../core/stream";
import { t } from "../texts";

export function LinkState({ link, live }: { link: Link; live: boolean }) {
  const kind = !live ? "calm" : link === "open" ? "good" : "warn";
  return (
    <span class={`state ${kind} live`}>
      <i class={live && link === "open" ? "pulse" : ""} />
      {!live ? t("live.paused") : link === "open" ? t("live.on") : link === "lost" ? t("live.lost") : t("live.connecting")}
    </span>
  );
}
