// malloc_trim(3): Swift's module Glibc leaves this header out.
#include <malloc.h>
