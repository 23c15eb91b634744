/* A time trial: a road with bends, a kart, three laps, and a display where Crash Team Racing has its own.

   Lengths are 1/256 m, angles 1/4096 of a turn, and a step is 1/30 s, that is 32 of the clock's 1/960 s. */
#include "console.h"
#include "letters.h"

#ifndef TRACK
#define TRACK 1                                /* the number of the first track */
#endif

enum { METRE = 256, SEGMENT = 4 * METRE, SEGMENTS = 88, LAP = SEGMENT * SEGMENTS, LAPS = 3, UNITS = 960 };
enum { HALF = 9 * METRE / 2, WALL = 8 * METRE, FASTEST = 170, BACKWARDS = -60, ON_GRASS = 80 };
enum { HORIZON = 84, ACROSS = 300, DOWNWARDS = 507 };   /* pixels: the focal length, and that times 3 m of height */
enum { ORANGE, PERIWINKLE, RED, COLOURS };

typedef enum { MENU, COUNTDOWN, RACE, PAUSE, OVER } Phase;

static struct {
    Phase phase;
    int waited;                                /* steps since the phase began */
    int at, furthest, x, heading, turning, speed;
    int clock, lap, times[LAPS], wrong;
    int sliding, meter, boost, pages;
} race;
static int track = TRACK, bends[SEGMENTS], towards[SEGMENTS + 1], hills[16], speedometer, line, frame;
static int proof = 1;                          /* whether what proves a recording is shown in the race, too */
static u32 held, tapped;

/* --- small mathematics */

static u32 seed;
static int chance(int below) {                 /* Numerical Recipes' generator */
    seed = seed * 1664525 + 1013904223;
    return (int)((seed >> 16) * (u32)below >> 16);
}
static int between(int low, int value, int high) { return value < low ? low : value > high ? high : value; }
static int magnitude(int value) { return value < 0 ? -value : value; }
static int sine(int angle) {                   /* times 4096, after Bhaskara I */
    int a = angle & 2047, p = a * (2048 - a) >> 4, s = p * 16384 / (327680 - p);
    return angle & 2048 ? -s : s;
}
static int cosine(int angle) { return sine(angle + 1024); }

/* --- the track: how far each segment turns; hills stand all around */

static void make_track(void) {
    seed = (u32)track * 7919 + 1;
    for (int i = 0; i < 4; i++) chance(2);
    for (int i = 0; i < 16; i++) hills[i] = 8 + chance(44);
    int here = 4;                              /* straight on at the line */
    for (int i = 0; i < SEGMENTS; i++) bends[i] = 0;
    for (int side = chance(2); here < SEGMENTS - 10; side ^= 1) {
        int long_ = 6 + chance(9), sharp = 40 + chance(50);
        for (int i = 0; i < long_ && here < SEGMENTS - 4; i++, here++)
            bends[here] = (side ? sharp : -sharp) * (i == 0 || i == long_ - 1 ? 1 : 2) / 2;
        here += 2 + chance(5);
        if (chance(4) == 0) side ^= 1;
    }
    for (int i = 0; i < SEGMENTS; i++) towards[i + 1] = towards[i] + bends[i];
}
static int segment(int at) { int i = at / SEGMENT % SEGMENTS; return i < 0 ? i + SEGMENTS : i; }

/* --- the race */

static void begin(Phase phase) { race.phase = phase; race.waited = 0; }

static void restart(void) {
    race.at = race.furthest = race.x = race.heading = race.turning = race.speed = race.clock = race.lap = 0;
    race.wrong = race.sliding = race.meter = race.boost = race.pages = 0;
    for (int i = 0; i < LAPS; i++) race.times[i] = 0;
    make_track();
    begin(COUNTDOWN);
}

static void slide(int steer) {                 /* L1 or R1 holds a slide in a turn; the other one boosts when it is red */
    u32 down = held & (L1 | R1);
    if (!race.sliding && down && steer && race.speed > 90) race.sliding = (int)down;
    if (!race.sliding) return;
    if (tapped & (L1 | R1) & ~(u32)race.sliding) {
        if (race.meter > 20) race.boost = 30;
        race.meter = 0;
    }
    race.meter = between(0, race.meter + 1, 30);
    if (!(down & (u32)race.sliding) || race.speed < 60) race.sliding = race.meter = 0;
}

static void drive(void) {
    int steer = !!(held & RIGHT) - !!(held & LEFT), most = race.boost ? FASTEST + 40 : FASTEST;
    slide(steer);
    if (race.boost) race.boost--;
    if (magnitude(race.x) > HALF) most = ON_GRASS;
    if (held & SQUARE) race.speed -= race.speed > 0 ? 7 : 3;
    else if (held & CROSS) race.speed += race.speed < 0 ? 8 : race.boost ? 6 : 3;
    else race.speed -= race.speed > 0 ? 1 : race.speed < 0 ? -1 : 0;
    if (race.speed > most) race.speed -= between(0, race.speed - most, 8);
    race.speed = between(BACKWARDS, race.speed, FASTEST + 40);

    int wish = steer * (race.sliding ? 38 : 26) * between(-90, race.speed, 90) / 90;
    race.turning += (wish - race.turning) / 2;
    int ahead = race.speed * cosine(race.heading) / 4096;
    race.heading = between(-600, race.heading + race.turning - bends[segment(race.at)] * ahead / SEGMENT, 600);
    race.x += race.speed * sine(race.heading) / 4096;
    race.at += ahead;
    if (magnitude(race.x) > WALL) {            /* along the wall, and slower */
        race.x = between(-WALL, race.x, WALL);
        race.speed = race.speed * 15 / 16;
        if ((race.heading > 0) == (race.x > 0)) race.heading = race.heading * 3 / 4;
    }
    if (race.at > race.furthest) race.furthest = race.at;
    race.wrong = race.speed < 0 && race.furthest - race.at > 5 * METRE;
}

static void step(void) {
    race.waited++;
    if (tapped & TRIANGLE && held & SELECT) proof ^= 1;
    else if (tapped & TRIANGLE) speedometer ^= 1;
    int cross = !!(tapped & CROSS);
    switch (race.phase) {
    case MENU:
        if (tapped & (UP | DOWN)) line ^= 1;
        if (cross) { track += line; line = 0; restart(); }
        break;
    case COUNTDOWN:
        if (race.waited == 120) begin(RACE);
        break;
    case RACE:
        drive();
        race.clock += 32;
        race.times[race.lap] += 32;
        if (race.at >= LAP * (race.lap + 1) && ++race.lap == LAPS) begin(OVER);
        else if (tapped & START) begin(PAUSE);
        break;
    case PAUSE:
        if (tapped & START) race.phase = RACE;
        else if (cross) begin(MENU);
        break;
    case OVER:                                 /* the times, from 3 s on the high scores, then the menu */
        race.speed = race.speed * 24 / 25;
        race.at += race.speed;
        if (cross && race.waited > (race.pages ? 30 : 90)) {
            race.waited = race.pages ? 0 : 91;
            if (race.pages++) begin(MENU);
        }
    }
}

/* --- letters: a sheet of texels with every letter in each colour and both sizes */

static u16 sheet[256 * 256];

static void draw_letter(int letter, int colour, int u, int v, int width, int height) {
    static const u8 tops[COLOURS][3] = {{31, 29, 11}, {27, 28, 31}, {31, 19, 17}};
    static const u8 bottoms[COLOURS][3] = {{29, 10, 0}, {10, 13, 28}, {24, 0, 2}};
    int wide = width - 3, tall = height > 8 ? height - 3 : height - 1, top = height > 8;
    for (int pass = 0; pass < 2; pass++)       /* a dark outline, then the letter over it */
        for (int y = 0; y < tall; y++)
            for (int x = 0; x < wide; x++) {
                if (!(LETTERS[letter].rows[y * 7 / tall] >> (4 - x * 5 / wide) & 1)) continue;
                const u8 *a = tops[colour], *b = bottoms[colour];
                u16 texel = 2 | 1 << 5 | 3 << 10;
                if (pass)
                    texel = (u16)((a[0] + (b[0] - a[0]) * y / tall) | (a[1] + (b[1] - a[1]) * y / tall) << 5 |
                                  (a[2] + (b[2] - a[2]) * y / tall) << 10);
                for (int dy = pass - 1; dy <= 1 - pass; dy++)
                    for (int dx = pass - 1; dx <= 1 - pass; dx++) {
                        int at = y + top + dy;
                        if (at >= 0 && at < height) sheet[(v + at) * 256 + u + x + 1 + dx] = texel;
                    }
            }
}

static int advance(char c, int small) {
    if (c == ':') return small ? 7 : 11;
    if (c == '!') return small ? 8 : 11;
    return small ? 13 : 17;
}
static void place(int letter, int colour, int small, int *u, int *v) {   /* where it is in the sheet */
    int n = colour * LETTER_COUNT + letter, row = small ? 19 : 15;
    *u = n % row * (small ? 13 : 17);
    *v = n / row * (small ? 8 : 17) + (small ? 17 * ((COLOURS * LETTER_COUNT + 14) / 15) : 0);
}
static void make_letters(void) {
    for (int colour = 0; colour < COLOURS; colour++)
        for (int letter = 0; letter < LETTER_COUNT; letter++)
            for (int small = 0, u, v; small < 2; small++) {
                place(letter, colour, small, &u, &v);
                draw_letter(letter, colour, u, v, advance(LETTERS[letter].letter, small), small ? 8 : 17);
            }
    texture(sheet, 256);
}
static void write(const char *text, int x, int y, int colour, int small) {
    for (; *text; x += advance(*text++, small))
        for (int letter = 0, u, v; letter < LETTER_COUNT; letter++)
            if (LETTERS[letter].letter == *text && x > -17) {
                place(letter, colour, small, &u, &v);
                sprite(x, y, u, v, advance(*text, small), small ? 8 : 17);
            }
}
static void write_middle(const char *text, int y, int colour) {
    int width = 0;
    for (const char *c = text; *c; c++) width += advance(*c, 0);
    write(text, WIDTH / 2 - width / 2, y, colour, 0);
}
static void write_time(int units, int x, int y, int colour, int small) {   /* M:SS:CC, cut off, not rounded */
    int s = units / UNITS, c = units % UNITS * 100 / UNITS;
    char text[] = {(char)('0' + s / 60 % 10), ':', (char)('0' + s % 60 / 10), (char)('0' + s % 10), ':',
                   (char)('0' + c / 10), (char)('0' + c % 10), 0};
    write(text, x, y, colour, small);
}

/* --- the scene: strips of road, the far ones first */

typedef struct { int x, y, scale, band; } Edge;   /* where the road's middle is seen, and pixels for 16 m across */

static void scene(void) {
    static Edge edges[44];
    int seen = 0, here = segment(race.at), turned = towards[here] + race.heading;
    shade(RGB(56, 88, 176), RGB(168, 200, 232), 0, 0, WIDTH, HORIZON);
    for (int i = 0; i < 16; i++) {
        int x = WIDTH / 2 + ((i * 256 - turned + 2048 & 4095) - 2048) / 2;
        if (x > -120 && x < WIDTH + 120)
            triangle(i & 1 ? RGB(72, 120, 88) : RGB(96, 112, 80), x - 90, HORIZON, x + 90, HORIZON, x, HORIZON - hills[i]);
    }
    box(RGB(48, 136, 48), 0, HORIZON, WIDTH, HEIGHT - HORIZON);
    /* Along the road in the kart's own axes, from 3 m behind it; the eye is 3 m behind it, too. */
    int angle = -race.heading, x = -race.x * cosine(race.heading) / 4096 - 3 * METRE * sine(angle) / 4096;
    int z = -race.x * sine(race.heading) / 4096 - 3 * METRE * cosine(angle) / 4096 + 3 * METRE;
    for (int i = 0, at = race.at - 3 * METRE; i < 44; i++) {
        int length = i < 19 ? METRE : 3 * METRE;
        if (z > 3 * METRE / 2) {
            int to = at / METRE;
            edges[seen++] = (Edge){WIDTH / 2 + x * ACROSS / z, HORIZON + DOWNWARDS * METRE / z, 16 * METRE * ACROSS / z,
                                   to / 4 & 1 | (at % LAP >= 0 && at % LAP < 2 * METRE ? 2 : 0)};
        }
        x += length * sine(angle) / 4096;
        z += length * cosine(angle) / 4096;
        angle += bends[segment(at)] * length / SEGMENT;
        at += length;
    }
    for (int i = seen - 2; i >= 0; i--) {
        Edge n = edges[i], f = edges[i + 1];
        int light = n.band & 1;
        int nw = n.scale / 2, fw = f.scale / 2, nr = n.scale * HALF / (16 * METRE), fr = f.scale * HALF / (16 * METRE);
        if (f.y >= n.y || f.y > HEIGHT) continue;
        quad(light ? RGB(56, 152, 56) : RGB(40, 120, 40), f.x - fw, f.x + fw, f.y, n.x - nw, n.x + nw, n.y);
        quad(light ? RGB(208, 48, 40) : RGB(232, 232, 232), f.x - fr * 9 / 8, f.x + fr * 9 / 8, f.y, n.x - nr * 9 / 8,
             n.x + nr * 9 / 8, n.y);
        quad(n.band & 2 ? RGB(240, 240, 240) : light ? RGB(104, 104, 112) : RGB(92, 92, 100), f.x - fr, f.x + fr, f.y,
             n.x - nr, n.x + nr, n.y);
        for (int side = -1; side <= 1; side += 2) {   /* walls, 1 m high */
            int fx = f.x + side * fw, nx = n.x + side * nw, up = n.scale / 28;
            triangle(light ? RGB(160, 128, 88) : RGB(136, 104, 72), fx, f.y, nx, n.y, nx, n.y - up);
            triangle(light ? RGB(160, 128, 88) : RGB(136, 104, 72), fx, f.y, fx, f.y - f.scale / 28, nx, n.y - up);
        }
    }
}

static void kart(void) {
    int lean = race.turning / 3, x = WIDTH / 2 + (race.sliding ? lean * 2 : lean);
    box(RGB(24, 24, 24), x - 34, 178, 14, 20);
    box(RGB(24, 24, 24), x + 20, 178, 14, 20);
    quad(RGB(248, 200, 24), x - 16 + lean, x + 16 + lean, 166, x - 24, x + 24, 192);
    box(RGB(216, 64, 32), x - 8 + lean, 158, 16, 14);
    if (race.boost) triangle(RGB(255, 160, 32), x - 10, 192, x + 10, 192, x, 192 + race.boost / 3);
}

/* --- the display */

static void display(void) {
    int gone = race.phase == OVER ? between(0, race.waited - 66, 20) : 0, left = 20 - 170 * gone / 20;
    if (race.phase == MENU) return;
    if (gone < 20 && !race.pages) {
        write("TIME TRIAL", left, 8, ORANGE, 1);
        write_time(race.clock, left, 16, ORANGE, 0);
        for (int i = 0; i <= race.lap && i < LAPS; i++) {
            char name[] = {'L', (char)('1' + i), 0};
            write(name, left, 32 + 8 * i, RED, 1);
            write_time(race.times[i], left + 39, 32 + 8 * i, PERIWINKLE, 1);
        }
    }
    if (race.phase != OVER) {
        char counter[] = {(char)('1' + race.lap), '/', '0' + LAPS, 0};
        write("LAP", 484 - 39, 8, PERIWINKLE, 1);
        write(counter, 484 - 51, 16, PERIWINKLE, 0);
    }
    if (race.wrong && race.clock & 0x80 && race.phase == RACE) write_middle("WRONG WAY!", HEIGHT / 2 - 30, ORANGE);
    if (race.phase == COUNTDOWN)
        for (int i = 0; i < 3; i++)
            box(race.waited >= 30 * (i + 1) ? RGB(232, 24, 24) : RGB(64, 8, 8), 214 + 30 * i, 48, 24, 24);
    if (race.sliding) box(race.meter > 20 ? RGB(232, 24, 24) : RGB(48, 200, 48), 472, 196 - 2 * race.meter, 12, 2 * race.meter);
    int turn = race.at % LAP * 16 / SEGMENTS * 4 / 16;   /* 4096 a lap */
    if (speedometer) {
        box(RGB(240, 200, 40), 400, 180, 60, 12);
        box(RGB(255, 40, 40), 400, 182, 60 * magnitude(race.speed) / (FASTEST + 40), 8);
    } else {
        for (int i = 0; i < 64; i++) box(RGB(248, 248, 248), 428 + 40 * sine(i * 64) / 4096, 160 - 26 * cosine(i * 64) / 4096, 3, 3);
        box(RGB(255, 40, 40), 425 + 40 * sine(turn) / 4096, 157 - 26 * cosine(turn) / 4096, 8, 8);
    }
}

static void pages(void) {
    if (race.phase == OVER && race.waited > 66 && !race.pages) {
        write_middle("FINISH", 60, ORANGE);
        for (int i = 0; i < LAPS; i++) write_time(race.times[i], 200, 84 + 20 * i, PERIWINKLE, 0);
    } else if (race.phase == OVER && race.pages) {
        box(RGB(32, 32, 88), 120, 40, 272, 130);
        write_middle("HIGH SCORES", 52, ORANGE);
        write_time(race.clock, 200, 90, RED, 0);
    } else if (race.phase == PAUSE) {
        box(RGB(40, 40, 88), 150, 70, 212, 80);
        write_middle("PAUSE", 80, ORANGE);
        write("START GOES ON", 170, 108, PERIWINKLE, 1);
        write("CROSS TO MENU", 170, 126, RED, 1);
    } else if (race.phase == MENU) {
        char name[] = {'T', 'R', 'A', 'C', 'K', ' ', (char)('0' + (track + line) / 10 % 10), (char)('0' + (track + line) % 10), 0};
        box(RGB(32, 32, 88), 120, 40, 272, 130);
        write_middle("TIME TRIAL", 50, ORANGE);
        write_middle("RETRY", 90, line ? PERIWINKLE : RED);
        write_middle(name, 118, line ? RED : PERIWINKLE);
    }
}

/* What proves a recording: a lamp for each button; the picture's number; the phase; the laps' times so far, in 1/960 s. */
static void number(int value, int bits, int x, int y) {
    for (int i = 0; i < bits; i++)
        box(value >> (bits - 1 - i) & 1 ? RGB(255, 255, 255) : RGB(16, 16, 32), x + i * 8, y, 8, 8);
}
static void prove(void) {
    static const u16 buttons[] = {LEFT, UP, DOWN, RIGHT, SQUARE, CROSS, CIRCLE, TRIANGLE, L1, R1, L2, R2, START, SELECT};
    if (!proof && race.phase == RACE) return;  /* a network must not see what is pressed */
    box(RGB(0, 0, 0), 0, 200, WIDTH, 16);
    for (int i = 0; i < 14; i++) box(held & buttons[i] ? RGB(255, 255, 255) : RGB(16, 16, 32), 8 + i * 16, 200, 16, 8);
    number(frame, 16, 240, 200);
    number((int)race.phase << 3 | race.lap << 1 | race.wrong, 6, 376, 200);
    number(0xB3, 8, 432, 200);                 /* this is the proof */
    for (int i = 0; i < LAPS; i++) number(race.times[i], 20, 8 + 168 * i, 208);
}

void main(void) {
    video_begin();
    make_letters();
    make_track();
    for (u32 before = 0;; before = held, frame++) {
        held = pad();
        tapped = held & ~before;
        step();
        picture_begin();
        scene();
        kart();
        display();
        pages();
        prove();
        picture_end(2);
    }
}
