/** The programs of the graphics card. `place` is that of `range.ts`. */

export const VERTEX = `#version 300 es
uniform vec4 box;      // left, top, right, bottom of the tile on the canvas, in clip space
out vec2 at;           // 0 to 1 over the tile
void main() {
  vec2 corner = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1));
  at = corner;
  gl_Position = vec4(mix(box.x, box.z, corner.x), mix(box.y, box.w, corner.y), 0.0, 1.0);
}`;

export const PLACE = `
uniform vec2 range;    // low, high
uniform int scale;     // 0 linear, 1 log, 2 symlog
uniform float bend;    // log: the smallest value; symlog: its linear part
float bent(float value) {
  if (scale == 1) return log(max(value, bend));
  if (scale == 2) return asinh(value / bend);
  return value;
}
float place(float value) {
  float low = bent(range.x), high = bent(range.y);
  if (low == high) return value < range.x ? 0.0 : value > range.y ? 1.0 : 0.5;
  return (bent(value) - low) / (high - low);
}
bool missing(float value) {
  // isnan() may be optimised away; the bits are not
  return (floatBitsToUint(value) & 0x7fffffffu) > 0x7f800000u;
}`;

export const PAINT = `#version 300 es
precision highp float;
precision highp sampler2D;
uniform sampler2D samples;
uniform sampler2D palette;
uniform vec2 size;     // samples across and down
uniform int components;
uniform int channel;   // 0: by palette; 1: by one colour, to be added
uniform vec3 tint;
uniform float fill;
uniform bool hasFill;
in vec2 at;
out vec4 color;
${PLACE}
void main() {
  ivec2 pixel = ivec2(clamp(floor(at * size), vec2(0.0), size - 1.0));
  if (components >= 3) {
    vec3 rgb;
    for (int i = 0; i < 3; i++) {
      rgb[i] = clamp(place(texelFetch(samples, ivec2(pixel.x * components + i, pixel.y), 0).r), 0.0, 1.0);
    }
    float alpha = components == 4
      ? clamp(place(texelFetch(samples, ivec2(pixel.x * 4 + 3, pixel.y), 0).r), 0.0, 1.0) : 1.0;
    color = vec4(rgb * alpha, alpha);
    return;
  }
  float value = texelFetch(samples, ivec2(pixel.x * components, pixel.y), 0).r;
  if (missing(value) || (hasFill && value == fill)) { color = vec4(0.0); return; }
  float where = clamp(place(value), 0.0, 1.0);
  if (channel == 1) { color = vec4(tint * where, 1.0); return; }
  int index = int(clamp(floor(where * 256.0), 0.0, 255.0));
  color = vec4(texelFetch(palette, ivec2(index, 0), 0).rgb, 1.0);
}`;
