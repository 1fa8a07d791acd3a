/* tests/lab2c_test.c - MIT 6.824 lab 2C, persistence, on real processes. */
#include "tests/harness/lab_live.h"
#include "tests/harness/lab_scenes.h"

int main(int argc, char **argv)
{
    return lab_main("lab 2C", lab_2c, COUNT(lab_2c), argc, argv);
}
