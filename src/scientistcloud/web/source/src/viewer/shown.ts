/** From the state of the page to what a plane shows. */

import type { Description } from "./description";
import type { Shown } from "./plane-view";
import type { ViewState } from "./view-state";

/** The layers that are on, those of colour fields as they are. */
export function shownOf(description: Description, state: ViewState): Shown[] {
  return description.fields.flatMap((field, index) => {
    const channel = state.channels[index];
    if (!channel?.isOn) return [];
    const tint = state.overlay && field.components < 3 ? { tint: rgb(channel.color) } : {};
    return [{
      layer: { field: field.name, time: state.time, components: field.components },
      look: {
        palette: channel.palette, range: channel.range, scale: channel.scale,
        fill: field.fill_value, ...tint,
      },
    }];
  });
}

function rgb(color: string): [number, number, number] {
  const value = parseInt(color.slice(1), 16);
  return [(value >> 16) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}
