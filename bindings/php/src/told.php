<?php

// Empty. That it is in the opcode cache means something: see Unavailable.
