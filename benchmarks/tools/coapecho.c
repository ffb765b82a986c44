/* coapecho - the least a CoAP server can do: each request gets an empty 2.04 at once. The unit of the benchmarks.
 *
 *   coapecho PORT        (0: any; the port is printed)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0)) };
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof own;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), octets = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
    if (bind(fd, (void *)&own, sizeof own) || getsockname(fd, (void *)&own, &size)) {
        perror("bind");
        return 1;
    }
    printf("%d\n", ntohs(own.sin_port));
    fflush(stdout);
    for (;;) {
        uint8_t b[2048];
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        ssize_t n = recvfrom(fd, b, sizeof b, 0, (void *)&peer, &length);
        int token = b[0] & 15;
        if (n < 4 + token || b[0] >> 6 != 1 || b[1] == 0) continue;
        b[0] = (uint8_t)((b[0] >> 4 & 3 ? 0x50 : 0x60) | token);       /* a NON for a NON, an ACK for a CON */
        b[1] = 0x44;
        if (sendto(fd, b, (size_t)(4 + token), 0, (void *)&peer, length) < 0) perror("sendto");
    }
}
