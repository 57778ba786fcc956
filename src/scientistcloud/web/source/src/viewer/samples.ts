/** Samples as they come over the wire: little-endian, x fastest, components interleaved. */

export type Values =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

const ARRAYS: Record<string, (bytes: ArrayBuffer) => Values> = {
  int8: (bytes) => new Int8Array(bytes),
  uint8: (bytes) => new Uint8Array(bytes),
  int16: (bytes) => new Int16Array(bytes),
  uint16: (bytes) => new Uint16Array(bytes),
  int32: (bytes) => new Int32Array(bytes),
  uint32: (bytes) => new Uint32Array(bytes),
  int64: (bytes) => new BigInt64Array(bytes),
  uint64: (bytes) => new BigUint64Array(bytes),
  float16: (bytes) => halves(new Uint16Array(bytes)),
  float32: (bytes) => new Float32Array(bytes),
  float64: (bytes) => new Float64Array(bytes),
};

export const SAMPLE_BYTES: Record<string, number> = {
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  float16: 2,
  int32: 4,
  uint32: 4,
  float32: 4,
  int64: 8,
  uint64: 8,
  float64: 8,
};

/** The samples of a body; half floats become floats, which hold each of them exactly. */
export function decode(dtype: string, body: ArrayBuffer): Values {
  const make = ARRAYS[dtype];
  if (!make) throw new Error(`unknown type of samples: ${dtype}`);
  return make(body);
}

/** For pictures: numbers as the graphics card has them. */
export function asFloats(values: Values): Float32Array<ArrayBuffer> {
  if (values instanceof Float32Array) return values as Float32Array<ArrayBuffer>;
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    return Float32Array.from(values, Number);
  }
  return Float32Array.from(values);
}

/** A value in words: exact for integers, short for floats. */
export function inWords(value: number | bigint | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "bigint" || Number.isInteger(value)) return value.toString();
  if (!Number.isFinite(value)) return String(value);
  return String(Number(value.toPrecision(7)));
}

function halves(bits: Uint16Array): Float32Array {
  return Float32Array.from(bits, halfToNumber);
}

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
