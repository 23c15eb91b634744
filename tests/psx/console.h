/* A bare PlayStation: its picture, its pad, its clock. Registers and packets as psx-spx documents them
   (https://psx-spx.consoledev.net); no BIOS, no SDK. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

enum { WIDTH = 512, HEIGHT = 216 };
enum { SELECT = 1, START = 8, UP = 16, RIGHT = 32, DOWN = 64, LEFT = 128, L2 = 256, R2 = 512, L1 = 1024, R1 = 2048,
       TRIANGLE = 4096, CIRCLE = 8192, CROSS = 16384, SQUARE = 32768 };

#define RGB(r, g, b) ((u32)(r) | (u32)(g) << 8 | (u32)(b) << 16)

void video_begin(void);
void picture_begin(void);                     /* what is drawn from now on is seen after picture_end */
void picture_end(int vblanks);                /* waits until so many vertical blanks have passed since the last one */
void box(u32 colour, int x, int y, int width, int height);
void shade(u32 top, u32 bottom, int x, int y, int width, int height);
void quad(u32 colour, int x0, int x1, int y0, int x2, int x3, int y1);   /* from x0, x1 at y0 to x2, x3 at y1 */
void triangle(u32 colour, int x0, int y0, int x1, int y1, int x2, int y2);
void texture(const u16 *texels, int rows);    /* the page that sprites are cut from: 256 texels a row */
void sprite(int x, int y, int u, int v, int width, int height);
u32 pad(void);                                /* the buttons of port 1 that are down */
