/** A picture of a view to keep: with its scale bar and legend. */

import type { Description } from "./description";
import { paletteColors } from "./palettes";
import type { PlaneView, Shown } from "./plane-view";
import { inWords } from "./samples";
import { scaleBar } from "./scale-bar";

const LEGEND_PIXELS = 64;

/** The canvas of a view, below it what its colours and lengths mean; as PNG. */
export function pictureOf(view: PlaneView, description: Description, shown: Shown[]): Promise<Blob> {
  const { width, height } = view.canvas;
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height: height + LEGEND_PIXELS });
  const pen = canvas.getContext("2d") as CanvasRenderingContext2D;
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, width, canvas.height);
  pen.drawImage(view.canvas, 0, 0);
  pen.font = "14px sans-serif";
  drawScaleBar(pen, view, description, height);
  const [first] = shown;
  if (first && first.layer.components < 3) drawLegend(pen, first, unitsOf(description, first), width, height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png");
  });
}

function drawScaleBar(pen: CanvasRenderingContext2D, view: PlaneView, description: Description, top: number): void {
  const axis = description.axes[view.plane?.across ?? 0];
  const bar = scaleBar(Math.abs(axis?.spacing ?? 1) / view.camera.zoom, axis?.spacing ? axis.units ?? "" : "px", view.canvas.width * 0.3);
  if (!bar) return;
  pen.fillStyle = "#000";
  pen.fillRect(12, top + 40, bar.pixels, 4);
  pen.fillText(`${inWords(bar.length)} ${bar.units}`, 12, top + 30);
}

function unitsOf({ fields }: Description, { layer }: Shown): string {
  return fields.find(({ name }) => name === layer.field)?.units ?? "";
}

function drawLegend(pen: CanvasRenderingContext2D, { layer, look }: Shown, units: string, width: number, top: number): void {
  const colors = paletteColors(look.palette);
  const [left, wide] = [width * 0.55, width * 0.4];
  for (let step = 0; step < 256; step++) {
    pen.fillStyle = `rgb(${colors[3 * step]} ${colors[3 * step + 1]} ${colors[3 * step + 2]})`;
    pen.fillRect(left + (wide * step) / 256, top + 8, wide / 256 + 1, 12);
  }
  pen.fillStyle = "#000";
  pen.fillText(inWords(look.range.low), left, top + 36);
  const high = inWords(look.range.high);
  pen.fillText(high, left + wide - pen.measureText(high).width, top + 36);
  pen.fillText(units ? `${layer.field} (${units})` : layer.field, left, top + 54);
}
