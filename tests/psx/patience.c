/* Preloaded into the emulator, whose drawing plugin asks for the time over and over until a picture is due: so that
   it sleeps between two questions instead of keeping a processor busy. Times are 1/100000 s, as the plugin's own. */
struct timeval { long seconds, microseconds; };
int gettimeofday(struct timeval *now, void *zone);
int usleep(unsigned microseconds);

unsigned long timeGetTime(void) {
    struct timeval now;
    usleep(200);
    gettimeofday(&now, 0);
    return (unsigned long)(now.seconds * 100000 + now.microseconds / 10);
}
