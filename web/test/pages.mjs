// Pages of other data than a program gave: what a hostile or a very large model would give.

/** The page with its data changed by `change`. */
export function changed(html, change) {
  const [start, end] = ['<script type="application/json" id="data">', '</script>'];
  const from = html.indexOf(start) + start.length;
  const to = html.indexOf(end, from);
  const data = JSON.parse(html.slice(from, to));
  change(data);
  return html.slice(0, from) + JSON.stringify(data).replace(/</g, '\\u003c') + html.slice(to);
}

/** A chain of a thousand convolutions in place of the first model's nodes, with a layer for each where
 * the model has layers. */
export function withThousandNodes(data) {
  const [model] = data.models;
  const pattern = model.nodes.find((node) => node.type === 'Conv');
  const layer = model.layers?.find((l) => l.tensor === pattern.outputs[0].name);
  let before = model.inputs[0];
  model.nodes = Array.from({ length: 1000 }, (_, i) => {
    const out = { ...pattern.outputs[0], name: `t${i}` };
    const name = i % 2 ? `Conv_${i}` : `/stage.${Math.floor(i / 100)}/block.${Math.floor(i / 10)}/conv.${i}/Conv`;
    const node = { ...pattern, name, inputs: [before], outputs: [out] };
    before = out;
    return node;
  });
  if (layer)
    model.layers = model.nodes.map((node, i) => ({ ...layer, layer: node.name, tensor: `t${i}`, at_output: layer.at_output * (1 + (i % 7)) }));
  model.memory.tensors = model.nodes.map((node, i) => ({ name: `t${i}`, bytes: 1024, memory: 'psram', offset: 1024 * (i % 3), begin: i, end: i + 2 }));
  model.memory.psram = 3072;
  model.memory.internal = 0;
}
