#include "console.h"

#define GP0 (*(volatile u32 *)0x1F801810)
#define GP1 (*(volatile u32 *)0x1F801814)
#define I_STAT (*(volatile u32 *)0x1F801070)
#define I_MASK (*(volatile u32 *)0x1F801074)
#define JOY_DATA (*(volatile u8 *)0x1F801040)
#define JOY_STAT (*(volatile u16 *)0x1F801044)
#define JOY_MODE (*(volatile u16 *)0x1F801048)
#define JOY_CTRL (*(volatile u16 *)0x1F80104A)
#define JOY_BAUD (*(volatile u16 *)0x1F80104E)

void main(void);
extern u32 _bss[], _bss_end[];

__attribute__((section(".start"))) void _start(void) {
    for (u32 *word = _bss; word < _bss_end; word++) *word = 0;
    main();
}

/* --- the picture: two pages of memory, one above the other; sprites' texels lie beside them at x = 512 */

static int page;

static void command(u32 first) {
    while (!(GP1 & 1 << 26)) ;                /* until it takes commands */
    GP0 = first;
}

static u32 pair(int low, int high) { return (low & 0xFFFF) | (u32)high << 16; }

void video_begin(void) {
    I_MASK = 0;
    GP1 = 0x00000000;                         /* reset */
    GP1 = 0x08000002;                         /* 512 wide, NTSC, 15 bits */
    GP1 = 0x06000000 | (0x260 + 2560) << 12 | 0x260;
    GP1 = 0x07000000 | (0x88 + HEIGHT / 2) << 10 | (0x88 - HEIGHT / 2);
}

void picture_begin(void) {
    int top = page * 256;
    command(0xE1000400 | 2 << 7 | 512 / 64);  /* sprites: 15 bits, at x = 512 */
    command(0xE3000000 | top << 10);
    command(0xE4000000 | (top + HEIGHT - 1) << 10 | (WIDTH - 1));
    command(0xE5000000 | top << 11);
}

void picture_end(int vblanks) {
    while (vblanks--) {
        while (!(I_STAT & 1)) ;
        I_STAT = ~1u;
    }
    GP1 = 0x05000000 | (page * 256) << 10;    /* show this page */
    GP1 = 0x03000000;                         /* and light the screen */
    page ^= 1;
}

void box(u32 colour, int x, int y, int width, int height) {
    command(0x60000000 | colour);
    GP0 = pair(x, y);
    GP0 = pair(width, height);
}

void shade(u32 top, u32 bottom, int x, int y, int width, int height) {
    command(0x38000000 | top);
    GP0 = pair(x, y);
    GP0 = top;
    GP0 = pair(x + width, y);
    GP0 = bottom;
    GP0 = pair(x, y + height);
    GP0 = bottom;
    GP0 = pair(x + width, y + height);
}

static int reachable(int x) { return x < -250 ? -250 : x > 760 ? 760 : x; }  /* wider shapes are not drawn at all */

void quad(u32 colour, int x0, int x1, int y0, int x2, int x3, int y1) {
    command(0x28000000 | colour);
    GP0 = pair(reachable(x0), y0);
    GP0 = pair(reachable(x1), y0);
    GP0 = pair(reachable(x2), y1);
    GP0 = pair(reachable(x3), y1);
}

void triangle(u32 colour, int x0, int y0, int x1, int y1, int x2, int y2) {
    command(0x20000000 | colour);
    GP0 = pair(reachable(x0), y0);
    GP0 = pair(reachable(x1), y1);
    GP0 = pair(reachable(x2), y2);
}

void texture(const u16 *texels, int rows) {
    command(0xA0000000);
    GP0 = pair(512, 0);
    GP0 = pair(256, rows);
    for (int i = 0; i < 256 * rows; i += 2) GP0 = pair(texels[i], texels[i + 1]);
}

void sprite(int x, int y, int u, int v, int width, int height) {
    command(0x65808080);
    GP0 = pair(x, y);
    GP0 = (u32)(u | v << 8);
    GP0 = pair(width, height);
}

/* --- the pad: a byte each way at a time, 1 selects it, 0x42 asks, then two bytes of buttons that are 0 while down */

static int until(volatile u16 *port, u16 bit) {
    for (int patience = 5000; patience; patience--)
        if (*port & bit) return 1;
    return 0;
}

static int swap(u8 sent, int last) {          /* the answer, or -1 */
    until(&JOY_STAT, 1);                      /* ready to send */
    I_STAT = ~0x80u;
    JOY_DATA = sent;
    if (!until(&JOY_STAT, 2)) return -1;      /* received */
    int answer = JOY_DATA;
    if (!last && !until((volatile u16 *)&I_STAT, 0x80)) return -1;  /* its acknowledgement: there is more */
    JOY_CTRL |= 0x10;
    return answer;
}

u32 pad(void) {
    JOY_CTRL = 0;
    JOY_MODE = 0x0D;
    JOY_BAUD = 0x88;
    JOY_CTRL = 0x1003;                        /* select port 1 */
    for (volatile int i = 0; i < 60; i++) ;
    int there = swap(0x01, 0) >= 0 && swap(0x42, 0) >= 0 && swap(0, 0) == 0x5A;
    int low = there ? swap(0, 0) : -1, high = low >= 0 ? swap(0, 1) : -1;
    JOY_CTRL = 0;
    return high >= 0 ? ~(u32)(low | high << 8) & 0xFFFF : 0;
}
