"""The pack trainer's steps on the CPU, in C."""
