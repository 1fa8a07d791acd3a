/* tests/lab2a_test.c - MIT 6.824 lab 2A, leader election, on real processes. */
#include "tests/harness/lab_live.h"
#include "tests/harness/lab_scenes.h"

int main(int argc, char **argv)
{
    return lab_main("lab 2A", lab_2a, COUNT(lab_2a), argc, argv);
}
