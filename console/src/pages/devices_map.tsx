// The devices that the filters leave, where they stand. The gateway gathers what is close together, so a hundred thousand are no more than some hundred marks.
import { useState } from "preact/hooks";
import { get } from "../core/api";
import { useLoad } from "../core/load";
import { asked, type View } from "../core/mercator";
import { place, setQuery } from "../core/router";
import { t } from "../texts";
import { Box, Empty, Failed, Skeleton } from "../ui/basic";
import { corners, Map, type Mark } from "../ui/map";
import type { Marks } from "./place";

const NEAR = 9;

// The view as the address has it: x, y and zoom.
function kept(text: string | undefined): View | undefined {
  const [x, y, zoom] = (text ?? "").split(",").map(Number);
  return text && [x, y, zoom].every(Number.isFinite) ? { x: x!, y: y!, zoom: zoom! } : undefined;
}

export function DevicesMap({ filters }: { filters: Record<string, string | undefined> }) {
  const whole = useLoad((signal) => get<Marks>("/fleet/map", filters, signal), [filters]);
  const [box, look] = useState("");
  const load = useLoad((signal) => (box ? get<Marks>("/fleet/map", { ...filters, box }, signal) : new Promise<Marks>(() => undefined)), [filters, box], 15_000);
  const [last, keep] = useState<Mark[]>();
  if (load.data && load.data.items !== last) keep(load.data.items);
  const first = whole.data;
  return (
    <Box busy={!first}>
      {(load.error ?? whole.error) && <Failed error={(load.error ?? whole.error)!} retry={load.error ? load.reload : whole.reload} stale={!!last} />}
      {!first ? (
        !whole.error && <Skeleton />
      ) : first.count === 0 ? (
        <Empty icon="devices" title={t("map.none")}>
          {t("map.none.hint")}
        </Empty>
      ) : (
        <>
          <p class="dim">{t("map.count", { n: first.count })}</p>
          <Map
            key={JSON.stringify(filters)} label={t("nav.devices")} marks={last ?? first.items} spots={first.items.flatMap(corners)} tall nearest={NEAR} kept={kept(place.peek().query.at)}
            look={(seen, view, isMoved) => {
              look(asked(seen));
              if (isMoved) setQuery({ at: [view.x.toFixed(8), view.y.toFixed(8), view.zoom.toFixed(2)].join(",") });
            }}
          />
        </>
      )}
    </Box>
  );
}
