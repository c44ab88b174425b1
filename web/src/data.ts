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
}

export interface Page {
  format: number;
  espquant: string;
  kind: string;
  title: string;
  command: string;
  models: Model[];
  refused?: { recipe: string; reason: string }[];
}

export function read(): Page {
  const page = JSON.parse(document.getElementById('data')!.textContent!) as Page;
  if (page.format !== 1) throw new Error(`data of format ${page.format}`);
  return page;
}
