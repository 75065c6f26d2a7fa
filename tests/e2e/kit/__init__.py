"""What the end-to-end tests stand on: programs, publishers, devices, servers and a test PKI."""
