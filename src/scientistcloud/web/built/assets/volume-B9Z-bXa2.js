import{a as e,i as t,n,o as r,r as i,t as a}from"./index-BIHFx7z6.js";var o={maximum:0,density:1,oblique:2},s={linear:0,log:1,symlog:2},c=160,l=`#version 300 es
out vec2 at;
void main() {
  at = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1)) * 2.0 - 1.0;
  gl_Position = vec4(at, 0.0, 1.0);
}`,u=`#version 300 es
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
${n}
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
  float stride = (far - near) / float(${c});
  float most = -1.0;
  vec4 sum = vec4(0.0);
  for (int i = 0; i < ${c}; i++) {
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
}`,d=class{canvas;gl;program;texture;palette;extent=null;constructor(e){this.canvas=e;let t=e.getContext(`webgl2`,{premultipliedAlpha:!0,preserveDrawingBuffer:!0});if(!t)throw Error(`WebGL 2 is not there`);this.gl=t,t.getExtension(`OES_texture_float_linear`),this.program=a(t,l,u),this.texture=t.createTexture(),this.palette=t.createTexture(),t.pixelStorei(t.UNPACK_ALIGNMENT,1),t.bindVertexArray(t.createVertexArray())}load(e,t){let{gl:n}=this,[i,a,o]=t.samples;n.activeTexture(n.TEXTURE0),n.bindTexture(n.TEXTURE_3D,this.texture),n.texImage3D(n.TEXTURE_3D,0,n.R32F,i,a,o,0,n.RED,n.FLOAT,r(e));for(let e of[n.TEXTURE_MIN_FILTER,n.TEXTURE_MAG_FILTER])n.texParameteri(n.TEXTURE_3D,e,n.NEAREST);for(let e of[n.TEXTURE_WRAP_S,n.TEXTURE_WRAP_T,n.TEXTURE_WRAP_R])n.texParameteri(n.TEXTURE_3D,e,n.CLAMP_TO_EDGE);this.extent=t}draw(n,r){let{gl:a,extent:c,canvas:l}=this;if(!c||!l.width)return;a.viewport(0,0,l.width,l.height),a.clearColor(0,0,0,0),a.clear(a.COLOR_BUFFER_BIT),a.useProgram(this.program);let u=e=>a.getUniformLocation(this.program,e),d=Math.max(...c.edges),p=Math.min(l.width,l.height);a.uniform1i(u(`samples`),0),a.activeTexture(a.TEXTURE1),a.bindTexture(a.TEXTURE_2D,this.palette),a.texImage2D(a.TEXTURE_2D,0,a.RGB8,256,1,0,a.RGB,a.UNSIGNED_BYTE,e(r.palette)),a.texParameteri(a.TEXTURE_2D,a.TEXTURE_MIN_FILTER,a.NEAREST),a.uniform1i(u(`palette`),1),a.uniformMatrix3fv(u(`turn`),!1,f(n.turn,n.tilt)),a.uniform3fv(u(`size`),c.edges.map(e=>e/d)),a.uniform2f(u(`aspect`),l.width/p*.9,l.height/p*.9),a.uniform1f(u(`zoom`),n.zoom),a.uniform1f(u(`depth`),n.depth),a.uniform1i(u(`rendering`),o[n.rendering]),a.uniform1i(u(`hasFill`),r.fill==null?0:1),a.uniform1f(u(`fill`),r.fill??0),a.uniform1i(u(`upwards`),+!!c.upwards),a.uniform2f(u(`range`),r.range.low,r.range.high),a.uniform1i(u(`scale`),s[r.scale]),a.uniform1f(u(`bend`),r.scale===`log`?t(r.range):i(r.range)),a.activeTexture(a.TEXTURE0),a.bindTexture(a.TEXTURE_3D,this.texture),a.drawArrays(a.TRIANGLE_STRIP,0,4)}close(){this.gl.deleteTexture(this.texture),this.gl.getExtension(`WEBGL_lose_context`)?.loseContext()}};function f(e,t){let[n,r,i,a]=[Math.cos(e),Math.sin(e),Math.cos(t),Math.sin(t)];return[n,0,-r,r*a,i,n*a,r*i,-a,n*i]}export{d as VolumeRenderer};