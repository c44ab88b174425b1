// What espquant puts into a page: docs/report-data.md. Optional fields are there as far as they were measured.

export interface Tensor {
  name: string;
  dtype: string;
  shape: number[];
  exponents: number[];
}

export interface Channels {
  min: number[];
  max: number[];
  rms: number[];
}

export interface NetNode {
  name: string;
  type: string;
  inputs: Tensor[];
  outputs: Tensor[];
  attributes: Record<string, string>;
  file_bytes: number;
  milliseconds?: number;
  waiting_milliseconds?: number;
  macs?: number;
  internal_bytes?: number;
  psram_bytes?: number;
  scratch_bytes?: number;
  weights?: Channels;
  outputs_changed_by_saturation?: number;
}

export interface Histogram {
  low: number;
  high: number;
  float: number[];
  chip: number[];
}

export interface Layer {
  layer: string;
  type: string;
  tensor: string;
  bits: number;
  weight_bits: number | null;
  exponent: number;
  accumulated: number;
  alone: number;
  at_output: number;
  output_noise_up_to_here: number;
  min: number;
  max: number;
  magnitude_99_9: number;
  clipped_share: number;
  channels: number;
  dead_channels: number;
  largest_sum: number | null;
  outputs_changed_by_saturation: number | null;
  reason: string;
  explanation: string;
  remedy: string;
  histogram?: Histogram;
  channel_noise?: number[];
}

export interface Place {
  name: string;
  bytes: number;
  memory: 'internal' | 'psram';
  offset: number;
  begin: number;
  end: number | null;
  shares?: string;
}

export interface Memory {
  psram: number;
  internal: number;
  parameters: number;
  parameter_copies: number;
  scratch_kept: number;
  scratch_per_run: number;
  ram: number;
  tensors: Place[];
  overwrites: { tensor: string; node: string; step: number }[];
}

export interface Latency {
  milliseconds: number;
  least: number;
  most: number;
  clock_mhz: number;
  cores: number;
  basis: string;
}

/** Row, column, how many samples. */
export type Pair = [number, number, number];

export interface Answer {
  class: number;
  score: number;
  second?: number;
  second_score?: number;
}

export interface ShownSample {
  sample: number;
  why: 'differs' | 'wrong' | 'uncertain' | 'worst';
  float?: Answer;
  chip?: Answer;
  noise?: number;
}

export interface OutputErrors {
  output: string;
  part?: string;
  range: number;
  counts: number[];
  rms_error: number;
  rms_value: number;
  largest: number;
  not_finite?: number;
}

export interface Answers {
  on: string;
  samples: number;
  class_count?: number;
  classes_assumed?: boolean;
  classes?: string[];
  confusion?: { float?: Pair[]; chip?: Pair[]; change?: Pair[]; left_out?: number };
  differing?: number;
  errors?: OutputErrors[];
  shown: ShownSample[];
}

export interface Sample {
  sample: number;
  name: string;
  label?: number;
  picture?: string;
  curves?: number[][];
  length?: number;
  channels?: number;
}

export interface Measures {
  noise_to_signal?: number;
  accuracy?: number;
  agreement?: number;
  accuracy_drop?: number;
}

export interface Trial extends Measures {
  recipe: string;
  reason?: string;
  refused?: string;
  milliseconds?: number;
  flash?: number;
  ram?: number;
  layers_16bit?: number;
  layers_w8a16?: number;
}

export interface Search {
  goals: string[];
  minimized: string;
  goals_met: boolean;
  goals_confirmed?: boolean;
  measured_on: string;
  samples: { calibration: number; deciding: number; confirming: number };
  trials: number;
  looks: number;
  end: string;
  recommended: string;
  front: (Trial & { trial: number; confirmed?: Measures })[];
  history: Trial[];
  importance: { choice: string; value: string; noise_factor: number; pairs: number }[];
  layers: { layer: string; noise_to_signal_alone: number }[];
}

export interface Price {
  milliseconds: number;
  file: number;
  ram: number;
}

export interface Removed {
  layers: string[];
  saved: Price;
  noise_to_signal: number;
}

export interface Shrink {
  met: boolean;
  before: Price;
  after: Price;
  blocks: Removed[];
  removed: (Removed & { channels_before: number; channels_after: number })[];
  trials: { blocks: number; channels: number; noise_to_signal_refitted: number; noise_to_signal?: number; chosen: boolean }[];
  noise_to_signal_refitted: number;
  training: { steps: number; kept: boolean; noise_to_signal?: number; reason?: string };
  pruned?: {
    weights: number; zeros: number; compressed_before: number; compressed_after: number;
    layers: { name: string; weights: number; zeros: number }[];
  };
  accuracy?: { network: number; smaller: number; chip: number };
}

export interface Model {
  name: string;
  file: string;
  container: string;
  producer: string;
  producer_version: string;
  target: string;
  release: string;
  metadata: Record<string, string>;
  inputs: Tensor[];
  outputs: Tensor[];
  nodes: NetNode[];
  bytes: Record<string, number>;
  memory?: Memory;
  latency?: Latency;
  layers?: Layer[];
  recipe?: string;
  noise?: number;
  noise_samples?: number;
  noise_on?: string;
  accuracy?: number;
  float_accuracy?: number;
  agreement?: number;
  unbeaten?: boolean;
  milliseconds?: number;
  file_bytes?: number;
  activation_bytes?: number;
  wide_nodes?: number;
  warnings?: string[];
  notes?: string[];
  answers?: Answers;
}

export interface Page {
  format: number;
  espquant: string;
  kind: string;
  title: string;
  command: string;
  models: Model[];
  refused?: { recipe: string; reason: string }[];
  samples?: Sample[];
  search?: Search;
  shrink?: Shrink;
}

export function read(): Page {
  const page = JSON.parse(document.getElementById('data')!.textContent!) as Page;
  if (page.format !== 1) throw new Error(`data of format ${page.format}`);
  return page;
}
