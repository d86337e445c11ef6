// One program of objects that are compiled with exceptions, without, and with PHC_CPP_NO_THROW.
#include <cstdio>

int throwing();
int no_throw();
int without_exceptions();

int main() {
    const bool ok = throwing() == 0 && no_throw() == 0 && without_exceptions() == 0;
    std::printf("%s modes.cpp: three ways of compiling in one program\n", ok ? "ok" : "FAILED");
    return ok ? 0 : 1;
}
