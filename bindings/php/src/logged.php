<?php

// Empty. Unavailable checks whether the opcode cache has this file.
