/**
 * Spheres and cylinders are drawn as rectangles; every pixel computes where its ray meets the exact surface.
 *
 * A vertex finds the data of its shape in textures by its own number: drawing of instances costs 20 times as much where
 * the browser draws without a graphics card.
 */

export const WIDTH = 1024; // shapes in a row of a texture

const VIEW = `#version 300 es
precision highp float;
uniform mat3 rotation;   // from the cell's axes to right, up, towards the viewer
uniform vec3 centre;     // Angstrom
uniform vec3 shift;      // Angstrom, of a periodic image
uniform float distance_; // Angstrom
uniform vec2 focal;
uniform vec2 range;      // near, far
uniform float pixel;     // Angstrom per pixel at a distance of one Angstrom
uniform float outline;   // pixels
`;

const PLACE = `
const vec2 CORNERS[6] = vec2[](vec2(-1.0, -1.0), vec2(1.0, -1.0), vec2(-1.0, 1.0), vec2(-1.0, 1.0), vec2(1.0, -1.0), vec2(1.0, 1.0));
ivec2 texel(int shape) { return ivec2(shape % ${WIDTH}, shape / ${WIDTH}); }
vec3 seen(vec3 position) { return rotation * (position + shift - centre) - vec3(0.0, 0.0, distance_); }
vec4 clip(vec3 point) {
  float depth = (range.y + range.x) / (range.y - range.x) * -point.z - 2.0 * range.y * range.x / (range.y - range.x);
  return vec4(focal * point.xy, depth, -point.z);
}
`;

const LIGHT = `
uniform vec3 paper;      // the background, into which distance fades
uniform vec3 ink;        // outlines
uniform vec3 accent;     // outlines of what is selected
uniform float fade;      // 0 to 1, of periodic images
out vec4 pixelColor;

float depthOf(float z) { return 0.5 + 0.5 * ((range.y + range.x) + 2.0 * range.y * range.x / z) / (range.y - range.x); }

vec3 lit(vec3 color, vec3 normal, vec3 ray) {
  const vec3 key = vec3(-0.413, 0.689, 0.597);
  float wrapped = 0.5 + 0.5 * dot(normal, key);
  float facing = clamp(-dot(normal, ray), 0.0, 1.0);
  float shade = mix(0.50, 1.06, wrapped * wrapped) * mix(0.72, 1.0, smoothstep(0.0, 0.55, facing));
  float gloss = max(dot(reflect(ray, normal), key), 0.0);
  gloss *= gloss; gloss *= gloss; gloss *= gloss; gloss *= gloss * gloss;   // to the power of 24: 8 times 3
  return color * shade + 0.16 * gloss;
}

vec3 faded(vec3 color, float z) {
  float back = clamp((-z - distance_) / (range.y - distance_) * 1.3, 0.0, 0.72);
  return mix(color, paper, max(back, fade));
}
`;

export const SPHERE_VERTEX = `${VIEW}${PLACE}
uniform float size;
uniform highp sampler2D position;
uniform highp sampler2D radius;
uniform lowp sampler2D color;
flat out vec3 middle;
flat out float r;
flat out vec4 paint;
flat out float rim;      // Angstrom, the width of the outline
out vec3 offset;
void main() {
  ivec2 at = texel(gl_VertexID / 6);
  vec2 corner = CORNERS[gl_VertexID % 6];
  middle = seen(texelFetch(position, at, 0).xyz);
  paint = texelFetch(color, at, 0);
  r = texelFetch(radius, at, 0).x * size;
  float mark = floor(paint.a * 255.0 + 0.5);
  rim = (mod(mark, 4.0) > 1.5 ? 3.4 : outline) * pixel * -middle.z;
  vec3 towards = -normalize(middle);
  vec3 right = normalize(cross(vec3(0.0, 1.0, 0.0), towards));
  vec3 up = cross(towards, right);
  float reach = length(middle);
  float half_ = (r + rim) * reach / sqrt(max(reach * reach - r * r, 1e-6)) + pixel * reach;
  offset = (right * corner.x + up * corner.y) * half_;
  gl_Position = r > 0.0 && middle.z < -range.x ? clip(middle + offset) : vec4(2.0, 2.0, 2.0, 1.0);
}`;

export const SPHERE_FRAGMENT = `${VIEW}${LIGHT}
flat in vec3 middle;
flat in float r;
flat in vec4 paint;
flat in float rim;
in vec3 offset;
void main() {
  vec3 ray = normalize(middle + offset);
  vec3 closest = offset - ray * dot(ray, offset);
  float away = length(closest);
  float fine = pixel * -middle.z;
  float cover = clamp((r + rim - away) / fine + 0.5, 0.0, 1.0);
  if (cover <= 0.0) discard;
  float mark = floor(paint.a * 255.0 + 0.5);   // 1: fixed; 2: selected; 4: under the pointer
  vec3 line = mod(mark, 4.0) > 1.5 ? accent : ink;
  float inside = clamp((r - away) / fine + 0.5, 0.0, 1.0);
  vec3 point = closest - ray * sqrt(max(r * r - away * away, 0.0));
  vec3 normal = point / r;
  vec3 color = paint.rgb;
  if (mark > 3.5) color = mix(color, accent, 0.25);
  color = lit(color, normal, ray);
  if (mod(mark, 2.0) > 0.5) {
    vec2 across = abs(vec2(point.x - point.y, point.x + point.y)) / r;
    color = mix(ink, color, smoothstep(0.06, 0.12, min(across.x, across.y)));
  }
  if (inside <= 0.0) point = vec3(0.0);   // an outline lies behind its sphere
  float z = middle.z + point.z;
  pixelColor = vec4(faded(mix(line, color, inside), z), cover);
  gl_FragDepth = depthOf(z);
}`;

export const ROD_VERTEX = `${VIEW}${PLACE}
uniform highp sampler2D start;
uniform highp sampler2D end;
uniform highp sampler2D radius;   // Angstrom; pixels where negative
uniform lowp sampler2D color;
flat out vec3 a;
flat out vec3 along;
flat out vec4 paint;
flat out vec3 measures;  // radius, length, width of the outline
out vec3 point;
void main() {
  ivec2 at = texel(gl_VertexID / 6);
  vec2 corner = CORNERS[gl_VertexID % 6];
  a = seen(texelFetch(start, at, 0).xyz);
  vec3 b = seen(texelFetch(end, at, 0).xyz);
  float wanted = texelFetch(radius, at, 0).x;
  vec3 middle = 0.5 * (a + b);
  float r = wanted < 0.0 ? -wanted * pixel * -middle.z : wanted;
  float rim = (wanted < 0.0 ? 0.0 : outline) * pixel * -middle.z;
  float length_ = max(length(b - a), 1e-5);
  along = (b - a) / length_;
  paint = texelFetch(color, at, 0);
  measures = vec3(r, length_, rim);
  vec3 towards = -normalize(middle);
  vec3 side = cross(along, towards);
  side = length(side) < 1e-4 ? vec3(1.0, 0.0, 0.0) : normalize(side);
  vec3 up = cross(towards, side);
  float wide = (r + rim) * 1.04 + pixel * -middle.z;
  float high = 0.5 * length_ * abs(dot(along, up)) * 1.04 + wide;
  point = middle + side * corner.x * wide + up * corner.y * high;
  gl_Position = max(a.z, b.z) < -range.x ? clip(point) : vec4(2.0, 2.0, 2.0, 1.0);
}`;

export const ROD_FRAGMENT = `${VIEW}${LIGHT}
flat in vec3 a;
flat in vec3 along;
flat in vec4 paint;
flat in vec3 measures;
in vec3 point;
void main() {
  float r = measures.x;
  vec3 ray = normalize(point);
  vec3 o = point - a;
  vec3 dp = ray - along * dot(ray, along);
  vec3 op = o - along * dot(o, along);
  float A = max(dot(dp, dp), 1e-9);
  float B = dot(op, dp);
  float t = -B / A;
  float away = length(op + dp * t);
  float fine = pixel * -point.z;
  float cover = clamp((r + measures.z - away) / fine + 0.5, 0.0, 1.0);
  if (cover <= 0.0) discard;
  float inside = clamp((r - away) / fine + 0.5, 0.0, 1.0);
  float root = sqrt(max(B * B - A * (dot(op, op) - r * r), 0.0)) / A;
  bool cut = false;
  vec3 hit = o + ray * (t - root);
  float height = dot(hit, along);
  if (height < 0.0 || height > measures.y) {   // the inner side is seen through an open end
    hit = o + ray * (t + root);
    height = dot(hit, along);
    cut = true;
    if (height < 0.0 || height > measures.y) discard;
  }
  vec3 normal = (hit - along * height) / r;
  vec3 color = paint.a < 0.5 ? paint.rgb : lit(paint.rgb, cut ? -normal : normal, ray);
  color = mix(ink, color, measures.z > 0.0 ? inside : 1.0);
  float z = a.z + hit.z;
  pixelColor = vec4(faded(color, z), cover);
  gl_FragDepth = depthOf(z);
}`;

export const PAPER_VERTEX = `#version 300 es
out float height;
void main() {
  vec2 corner = vec2(gl_VertexID % 2 * 4 - 1, gl_VertexID / 2 * 4 - 1);   // one triangle that covers the screen
  height = 0.5 + 0.5 * corner.y;
  gl_Position = vec4(corner, 1.0, 1.0);
}`;

export const PAPER_FRAGMENT = `#version 300 es
precision highp float;
uniform vec3 top;
uniform vec3 bottom;
in float height;
out vec4 pixelColor;
void main() { pixelColor = vec4(mix(bottom, top, height), 1.0); }`;
