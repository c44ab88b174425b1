import type { Layer, Model, NetNode } from './data';

/** An input of the network or a node of the chip's model: what the graph draws as one box. */
export interface Item {
  index: number;
  name: string;
  type: string;
  /** Null for inputs. */
  node: NetNode | null;
  /** Of the chip's integers of what it writes; 32 for floats. */
  bits: number | null;
  /** Weights of 8 bits below activations of 16. */
  mixed: boolean;
  layer: Layer | null;
}

export interface Edge {
  from: number;
  to: number;
}

/** Inputs first, then nodes in order of execution, so that every edge leads forward. */
export interface Net {
  items: Item[];
  edges: Edge[];
  inputs: number;
}

const bitsOf = (dtype: string): number | null => {
  const digits = /(\d+)$/.exec(dtype);
  return digits ? Number(digits[1]) : null;
};

export function netOf(model: Model): Net {
  const layers = new Map<string, Layer>();
  for (const layer of model.layers ?? []) layers.set(layer.tensor, layer);
  const items: Item[] = [];
  const producer = new Map<string, number>();
  for (const input of model.inputs) {
    producer.set(input.name, items.length);
    items.push({
      index: items.length, name: input.name, type: 'Input', node: null, bits: bitsOf(input.dtype), mixed: false,
      layer: layers.get(input.name) ?? null,
    });
  }
  const edges: Edge[] = [];
  const known = new Set<string>();
  for (const node of model.nodes) {
    const index = items.length;
    for (const input of node.inputs) {
      const from = producer.get(input.name);
      if (from === undefined || known.has(`${from}>${index}`)) continue;
      known.add(`${from}>${index}`);
      edges.push({ from, to: index });
    }
    const out = node.outputs[0];
    items.push({
      index, name: node.name || node.type, type: node.type, node, bits: out ? bitsOf(out.dtype) : null,
      mixed: node.attributes.quant_type === 'W8A16',
      layer: (out && layers.get(out.name)) ?? null,
    });
    for (const output of node.outputs) producer.set(output.name, index);
  }
  return { items, edges, inputs: model.inputs.length };
}
