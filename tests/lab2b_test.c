/* tests/lab2b_test.c - MIT 6.824 lab 2B, the log, on real processes. */
#include "tests/harness/lab_live.h"
#include "tests/harness/lab_scenes.h"

int main(int argc, char **argv)
{
    return lab_main("lab 2B", lab_2b, COUNT(lab_2b), argc, argv);
}
