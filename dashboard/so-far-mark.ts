/** Marks the end of a chart, where the lines lead to the count so far of the incomplete bucket. */
export const SO_FAR: uPlot.Plugin = { hooks: { init: add, draw: place } };

function add({ under }: uPlot): void {
  const label = document.createElement('span');
  label.textContent = 'so far';
  const mark = document.createElement('div');
  mark.className = 'so-far';
  mark.append(label);
  under.append(mark);
}

function place(plot: uPlot): void {
  const mark = plot.under.querySelector<HTMLElement>('.so-far');
  const [begin, end] = plot.data[0].slice(-2).map((at) => plot.valToPos(at, 'x'));
  if (mark === null || begin === undefined || end === undefined) return;
  mark.style.left = `${begin}px`;
  mark.style.width = `${end - begin}px`;
}
