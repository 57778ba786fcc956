/** A volume on the graphics card: maximum projection, or light that passes through it; oblique cuts. */

import { asFloats, type Values } from "./samples";
import { link } from "./painter";
import { paletteColors } from "./palettes";
import { linearPart, logFloor, type Scale } from "./range";
import { PLACE } from "./shaders";
import type { Look } from "./painter";

export type Rendering = "maximum" | "density" | "oblique";

const RENDERINGS: Record<Rendering, number> = { maximum: 0, density: 1, oblique: 2 };
const SCALES: Record<Scale, number> = { linear: 0, log: 1, symlog: 2 };
const STEPS = 160;

const VERTEX = `#version 300 es
out vec2 at;
void main() {
  at = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1)) * 2.0 - 1.0;
  gl_Position = vec4(at, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp sampler3D;
precision highp sampler2D;
uniform sampler3D samples;
uniform sampler2D palette;
uniform mat3 turn;       // from the screen to the volume
uniform vec3 size;       // edges of the volume, the longest is 1
uniform vec2 aspect;
uniform float zoom;
uniform float depth;     // of the oblique plane: -1 to 1
uniform int rendering;
uniform bool hasFill;
uniform float fill;
uniform bool upwards;
in vec2 at;
out vec4 color;
${PLACE}
float valueAt(vec3 point) {
  vec3 place3 = point / size + 0.5;
  if (!upwards) place3.y = 1.0 - place3.y;
  return texture(samples, place3).r;
}
bool inside(vec3 point) {
  return all(lessThanEqual(abs(point), size * 0.5));
}
vec4 colorOf(float where) {
  int index = int(clamp(floor(where * 256.0), 0.0, 255.0));
  return vec4(texelFetch(palette, ivec2(index, 0), 0).rgb, 1.0);
}
bool empty(float value) { return missing(value) || (hasFill && value == fill); }
void main() {
  vec2 screen = at * aspect / zoom;
  vec3 direction = turn * vec3(0.0, 0.0, -1.0);
  if (rendering == 2) {
    vec3 point = turn * vec3(screen, depth * 0.5);
    float value = valueAt(point);
    color = !inside(point) || empty(value) ? vec4(0.0) : colorOf(clamp(place(value), 0.0, 1.0));
    return;
  }
  vec3 start = turn * vec3(screen, 1.0);
  vec3 inverse = 1.0 / (direction + vec3(equal(direction, vec3(0.0))) * 1e-9);
  vec3 one = (-size * 0.5 - start) * inverse, other = (size * 0.5 - start) * inverse;
  vec3 near3 = min(one, other), far3 = max(one, other);
  float near = max(max(near3.x, near3.y), near3.z), far = min(min(far3.x, far3.y), far3.z);
  if (near >= far) { color = vec4(0.0); return; }
  float stride = (far - near) / float(${STEPS});
  float most = -1.0;
  vec4 sum = vec4(0.0);
  for (int i = 0; i < ${STEPS}; i++) {
    vec3 point = start + direction * (near + (float(i) + 0.5) * stride);
    float value = valueAt(point);
    if (empty(value)) continue;
    float where = clamp(place(value), 0.0, 1.0);
    most = max(most, where);
    if (rendering == 1) {
      float alpha = 1.0 - exp(-where * where * stride * 24.0);
      sum += (1.0 - sum.a) * alpha * vec4(colorOf(where).rgb, 1.0);
      if (sum.a > 0.98) break;
    }
  }
  color = rendering == 1 ? sum : most < 0.0 ? vec4(0.0) : colorOf(most);
}`;

export interface Pose {
  /** Angles of the view, in radians. */
  turn: number;
  tilt: number;
  zoom: number;
  depth: number;
  rendering: Rendering;
}

export interface Extent {
  /** Samples, x first. */
  samples: [number, number, number];
  /** Lengths of the edges in physical units, x first. */
  edges: [number, number, number];
  upwards: boolean;
}

export class VolumeRenderer {
  private readonly gl: WebGL2RenderingContext;
  private readonly program: WebGLProgram;
  private readonly texture: WebGLTexture;
  private readonly palette: WebGLTexture;
  private extent: Extent | null = null;

  constructor(readonly canvas: HTMLCanvasElement) {
    const gl = canvas.getContext("webgl2", { premultipliedAlpha: true, preserveDrawingBuffer: true });
    if (!gl) throw new Error("WebGL 2 is not there");
    this.gl = gl;
    gl.getExtension("OES_texture_float_linear");
    this.program = link(gl, VERTEX, FRAGMENT);
    this.texture = gl.createTexture();
    this.palette = gl.createTexture();
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.bindVertexArray(gl.createVertexArray());
  }

  /** Take these samples (x fastest) in place of the former ones. */
  load(values: Values, extent: Extent): void {
    const { gl } = this;
    const [x, y, z] = extent.samples;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_3D, this.texture);
    gl.texImage3D(gl.TEXTURE_3D, 0, gl.R32F, x, y, z, 0, gl.RED, gl.FLOAT, asFloats(values));
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) {
      gl.texParameteri(gl.TEXTURE_3D, name, gl.NEAREST);
    }
    for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R]) {
      gl.texParameteri(gl.TEXTURE_3D, name, gl.CLAMP_TO_EDGE);
    }
    this.extent = extent;
  }

  draw(pose: Pose, look: Look): void {
    const { gl, extent, canvas } = this;
    if (!extent || !canvas.width) return;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.useProgram(this.program);
    const at = (name: string): WebGLUniformLocation | null => gl.getUniformLocation(this.program, name);
    const longest = Math.max(...extent.edges);
    const least = Math.min(canvas.width, canvas.height);
    gl.uniform1i(at("samples"), 0);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.palette);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, 256, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, paletteColors(look.palette));
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.uniform1i(at("palette"), 1);
    gl.uniformMatrix3fv(at("turn"), false, rotation(pose.turn, pose.tilt));
    gl.uniform3fv(at("size"), extent.edges.map((edge) => edge / longest));
    gl.uniform2f(at("aspect"), (canvas.width / least) * 0.9, (canvas.height / least) * 0.9);
    gl.uniform1f(at("zoom"), pose.zoom);
    gl.uniform1f(at("depth"), pose.depth);
    gl.uniform1i(at("rendering"), RENDERINGS[pose.rendering]);
    gl.uniform1i(at("hasFill"), look.fill == null ? 0 : 1);
    gl.uniform1f(at("fill"), look.fill ?? 0);
    gl.uniform1i(at("upwards"), extent.upwards ? 1 : 0);
    gl.uniform2f(at("range"), look.range.low, look.range.high);
    gl.uniform1i(at("scale"), SCALES[look.scale]);
    gl.uniform1f(at("bend"), look.scale === "log" ? logFloor(look.range) : linearPart(look.range));
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_3D, this.texture);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  close(): void {
    this.gl.deleteTexture(this.texture);
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

/** Turned about the vertical axis, then tilted; column by column. */
function rotation(turn: number, tilt: number): number[] {
  const [c, s, d, e] = [Math.cos(turn), Math.sin(turn), Math.cos(tilt), Math.sin(tilt)];
  return [c, 0, -s, s * e, d, c * e, s * d, -e, c * d];
}
