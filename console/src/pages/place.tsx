// Where a device is, among the others of the fleet: as somebody entered it, or as it says itself.
import { useState } from "preact/hooks";
import { get } from "../core/api";
import { useLoad } from "../core/load";
import { asked, reported, spoken, type Spot } from "../core/mercator";
import type { Device } from "../core/types";
import { t } from "../texts";
import { Ago, Box, Copy, Failed } from "../ui/basic";
import { Map, type Mark } from "../ui/map";

export interface Marks {
  count: number;
  items: Mark[];
}

const NEAR = 6;
export const said = (spot: Spot) => spoken(spot, [t("map.north"), t("map.south")], [t("map.east"), t("map.west")]);

// What a device's map is about; undefined where nobody knows.
export function whereIs(device: Device): (Spot & { ts?: number }) | undefined {
  const { latitude, longitude } = device;
  return latitude !== null && longitude !== null ? { latitude, longitude } : reported(device.telemetry);
}

export function PlaceOf({ device, spot }: { device: Device; spot: Spot & { ts?: number } }) {
  const [box, look] = useState("");
  const load = useLoad((signal) => (box ? get<Marks>("/fleet/map", { box }, signal) : Promise.resolve({ count: 0, items: [] })), [box]);
  const [last, keep] = useState<Mark[]>([]);
  if (load.data && load.data.items !== last && box) keep(load.data.items);
  const point = `${spot.latitude},${spot.longitude}`;
  return (
    <Box
      title={t("device.place")}
      tools={
        <>
          {device.place && <span>{device.place}</span>}
          <a class="number" href={`geo:${point}`}>
            {said(spot)}
          </a>
          <Copy text={point} label={t("map.copy")} />
          {spot.ts && (
            <span class="dim">
              <Ago ms={spot.ts} />
            </span>
          )}
          <a href={`https://www.openstreetmap.org/?mlat=${spot.latitude}&mlon=${spot.longitude}#map=16/${spot.latitude}/${spot.longitude}`} target="_blank" rel="noreferrer">
            OpenStreetMap
          </a>
        </>
      }
    >
      {load.error && <Failed error={load.error} retry={load.reload} stale={last.length > 0} />}
      <Map label={t("map.of", { name: device.label || device.name, place: said(spot) })} marks={last} own={{ ...spot, name: device.name, text: device.label || device.name }} spots={[spot]} nearest={NEAR} look={(seen) => look(asked(seen))} />
    </Box>
  );
}
