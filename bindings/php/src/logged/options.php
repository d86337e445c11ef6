<?php

// Empty. Host::logOnce checks whether the opcode cache has this file.
