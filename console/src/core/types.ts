// What the API answers, as far as the console reads it.
export interface List<T> {
  items: T[];
  next: string | null;
  lookedBackTo?: number;
}

export interface ScriptError {
  message: string;
  name?: string;
  stage?: string;
  line?: number;
  column?: number;
  stack?: string;
}

export interface Output {
  deviceName?: string;
  deviceType?: string;
  assetName?: string;
  assetType?: string;
  attributes?: Record<string, unknown>;
  telemetry?: { ts: number; values: Record<string, unknown> }[];
}

export interface Row {
  id: string;
  receivedAt: number;
  datasource: string;
  state: string;
  size: number;
  head: string;
  devices: string[];
  error: ScriptError | null;
}

export interface Delivery {
  integration: string;
  state: string;
  attempts: number;
  error: string | null;
  nextTryAt?: number | null;
  tries: { at: number; answer: string }[];
}

export interface Message {
  id: string;
  receivedAt: number;
  datasource: string;
  state: string;
  payload: string;
  metadata: Record<string, unknown>;
  output: Output[];
  error: ScriptError | null;
  deliveries: Delivery[];
  converter: string | null;
}

export interface Group {
  id: string;
  kind: "conversion" | "delivery" | "refusal";
  where: string;
  version: number | null;
  error: ScriptError;
  pattern: string;
  datasources: string[];
  count: number;
  first: number;
  last: number;
  sample: string;
}

export interface Trial {
  result: unknown;
  telemetry: Output[];
  warnings: (string | { message: string })[];
  logs: unknown[];
  durationMs: number;
  error: ScriptError | null;
}

export interface Replayed {
  count: number;
  same: number;
  changed: number;
  fixed: number;
  newlyFailing: number;
  stillFailing: number;
  samples: { id: string; kind: string; before: { output: Output[]; error: ScriptError | null }; after: { output: Output[]; error: ScriptError | null } }[];
}

export interface Job {
  id: string;
  kind: string;
  state: "waiting" | "running" | "done" | "cancelled" | "failed";
  what: Record<string, unknown>;
  total: number | null;
  done: number;
  counts: Record<string, number>;
  before: Record<string, number>;
  after: Record<string, number>;
  createdAt: number;
  endedAt: number;
  problem: string;
  by: string;
}

export interface Saved {
  id: string;
  name: string;
  type: string;
  enabled?: boolean;
  revision: number;
  description: string;
  createdAt: number;
  updatedAt: number;
}

export interface SourceStatus {
  state: string;
  error?: string | null;
  address: string;
  urls: string[];
  counts: { received: number; converted: number; filtered: number; failed: number; refused: number };
  pending: number;
}

export interface Datasource extends Saved {
  routingKey: string;
  converter: string;
  configuration: Record<string, unknown>;
  status: SourceStatus;
}

export interface Converter extends Saved {
  script: string;
  dialect: string;
  engine: string;
  version: number;
  tests: Record<string, unknown>[];
  files: Record<string, string>;
}

export interface Version {
  version: number;
  active: boolean;
  createdAt: number;
  dialect: string;
  engine: string;
  script: string;
}

export interface Stats {
  state: string;
  queued: number;
  delivered: number;
  inflight: number;
  waiting: number;
  expired: number;
  dropped: Record<string, number>;
  dead: number;
  deadBytes: number;
  balanced: boolean;
  retrying: number;
  waitingBytes: number;
  oldestAge: number | null;
  lastError: string | null;
  lastErrorAt: number | null;
  lastDeliveredAt: number | null;
  lastResponse: unknown;
  retryIn: number | null;
  target: { state: string; connections: number; lastError: string | null };
  warnings: string[];
}

export interface Integration extends Saved {
  configuration: Record<string, unknown>;
  route: { datasources: string[]; deviceTypes: string[]; deviceNames: string[]; wants?: string[] };
  format: string;
  status: Stats;
}

export interface Device {
  name: string;
  label: string;
  type: string;
  groups: string[];
  latitude: number | null;
  longitude: number | null;
  place: string;
  serial: string;
  identity: string;
  notes: string;
  revision: number;
  datasource: string;
  firstSeen: number | null;
  lastSeen: number | null;
  attributes: Record<string, unknown>;
  telemetry: Record<string, { ts: number; value: unknown }>;
  health: { state: string; reportEvery: number; silentSince: number };
}

export interface Downlink {
  id: string;
  device: string;
  state: string;
  createdAt: number;
  updatedAt: number;
  expiresAt: number;
  attempts: number;
  reason: string;
  msg: unknown;
  data?: string;
  contentType: string;
  job: string;
}

export interface Event {
  id?: number;
  ts: number;
  type: string;
  source: string;
  name: string;
  message: string;
  severity?: string;
  device?: string;
  messageId?: string;
  detail?: Record<string, unknown>;
}

export interface Flow {
  received: number;
  converted: number;
  filtered: number;
  failed: number;
  waiting: number;
}

// What only those are told who see the whole gateway.
export interface Kept {
  bytes: number;
  fileBytes: number;
  walBytes: number;
  room: boolean;
  problem: string;
  uplink: { oldest: number };
}

export interface Status {
  version: string;
  startedAt: number;
  now: number;
  ready: boolean;
  notReadyBecause: string | null;
  faults: string[];
  paused: unknown;
  journal: Flow & Partial<Kept>;
  confinement: { by: string };
  refusals: Record<string, Record<string, number>>;
  datasources: ({ id: string; name: string; type: string } & SourceStatus)[];
  integrations: ({ id: string; name: string; type: string } & Stats)[];
}

export interface Series {
  step: number;
  since: number;
  items: { kind: string; id: string; name: string; points: Record<string, (number | null)[]> }[];
}
