/** Paints tiles of samples on a canvas by WebGL 2: palette, range and channels cost no new request. */

import { paletteColors } from "./palettes";
import { linearPart, logFloor, type Range, type Scale } from "./range";
import { PAINT, VERTEX } from "./shaders";

/** How the values of one field are shown. */
export interface Look {
  palette: string;
  range: Range;
  scale: Scale;
  /** The colour of a channel that is laid over others, 0 to 1 each; by palette without one. */
  tint?: [number, number, number];
  /** The value that stands for nothing. */
  fill?: number | null;
}

/** Samples on the graphics card. */
export interface Picture {
  texture: WebGLTexture;
  width: number;
  height: number;
  components: number;
  bytes: number;
}

const SCALES: Record<Scale, number> = { linear: 0, log: 1, symlog: 2 };

export class Painter {
  private readonly gl: WebGL2RenderingContext;
  private readonly program: WebGLProgram;
  private readonly places = new Map<string, WebGLUniformLocation | null>();
  private readonly palettes = new Map<string, WebGLTexture>();

  constructor(readonly canvas: HTMLCanvasElement) {
    const gl = canvas.getContext("webgl2", {
      alpha: true,
      antialias: false,
      premultipliedAlpha: true,
      preserveDrawingBuffer: true,
    });
    if (!gl) throw new Error("WebGL 2 is not there");
    this.gl = gl;
    this.program = link(gl, VERTEX, PAINT);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.bindVertexArray(gl.createVertexArray());
  }

  /** Whether samples of this size fit one picture. */
  get largest(): number {
    return this.gl.getParameter(this.gl.MAX_TEXTURE_SIZE) as number;
  }

  upload(values: Float32Array<ArrayBuffer>, width: number, height: number, components: number): Picture {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(
      gl.TEXTURE_2D, 0, gl.R32F, width * components, height, 0, gl.RED, gl.FLOAT, values,
    );
    nearest(gl);
    return { texture, width, height, components, bytes: values.byteLength };
  }

  drop(picture: Picture): void {
    this.gl.deleteTexture(picture.texture);
  }

  /** Begin a picture, within a rectangle: transparent, or black where channels are added up. */
  clear(channels: boolean, [left, top, right, bottom]: number[]): void {
    const { gl } = this;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.disable(gl.SCISSOR_TEST);
    gl.clearColor(0, 0, 0, channels ? 1 : 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.useProgram(this.program);
    // The last samples of a coarse level reach past the data.
    const x = Math.round(Math.min(left!, right!));
    const y = Math.round(this.canvas.height - Math.max(top!, bottom!));
    gl.enable(gl.SCISSOR_TEST);
    gl.scissor(x, y, Math.round(Math.abs(right! - left!)), Math.round(Math.abs(bottom! - top!)));
  }

  /** Paint a tile into the rectangle (left, top, right, bottom; canvas pixels; may be mirrored). */
  paint(picture: Picture, look: Look, [left, top, right, bottom]: number[]): void {
    const { gl } = this;
    const { width, height } = this.canvas;
    gl.uniform4f(
      this.at("box"),
      (2 * left!) / width - 1, 1 - (2 * top!) / height,
      (2 * right!) / width - 1, 1 - (2 * bottom!) / height,
    );
    gl.uniform2f(this.at("size"), picture.width, picture.height);
    gl.uniform1i(this.at("components"), picture.components);
    gl.uniform2f(this.at("range"), look.range.low, look.range.high);
    gl.uniform1i(this.at("scale"), SCALES[look.scale]);
    gl.uniform1f(
      this.at("bend"), look.scale === "log" ? logFloor(look.range) : linearPart(look.range),
    );
    gl.uniform1i(this.at("channel"), look.tint ? 1 : 0);
    gl.uniform3fv(this.at("tint"), look.tint ?? [1, 1, 1]);
    gl.uniform1i(this.at("hasFill"), look.fill == null ? 0 : 1);
    gl.uniform1f(this.at("fill"), look.fill ?? 0);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, picture.texture);
    gl.uniform1i(this.at("samples"), 0);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.palette(look.palette));
    gl.uniform1i(this.at("palette"), 1);
    if (look.tint) {
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE);
    } else {
      gl.disable(gl.BLEND);
    }
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  private at(name: string): WebGLUniformLocation | null {
    if (!this.places.has(name)) {
      this.places.set(name, this.gl.getUniformLocation(this.program, name));
    }
    return this.places.get(name) ?? null;
  }

  private palette(name: string): WebGLTexture {
    let texture = this.palettes.get(name);
    if (!texture) {
      const { gl } = this;
      texture = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.texImage2D(
        gl.TEXTURE_2D, 0, gl.RGB8, 256, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, paletteColors(name),
      );
      nearest(gl);
      this.palettes.set(name, texture);
    }
    return texture;
  }
}

export function link(gl: WebGL2RenderingContext, vertex: string, fragment: string): WebGLProgram {
  const program = gl.createProgram();
  for (const [kind, text] of [
    [gl.VERTEX_SHADER, vertex],
    [gl.FRAGMENT_SHADER, fragment],
  ] as const) {
    const shader = gl.createShader(kind) as WebGLShader;
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) {
      throw new Error(gl.getShaderInfoLog(shader) ?? "a shader does not compile");
    }
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    throw new Error(gl.getProgramInfoLog(program) ?? "a program does not link");
  }
  return program;
}

function nearest(gl: WebGL2RenderingContext): void {
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
}
