// A device on pion's DTLS, the library below plgd's go-coap: sends one CoAP message (hex) and prints the
// answer (hex), or the error.
//
// After "again" on its standard input it sends the message again.
//
//	pion HOST:PORT MESSAGE psk IDENTITY KEY SUITE
//	pion HOST:PORT MESSAGE cert CERTIFICATE KEY ANCHORS
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/pion/dtls/v3"
)

var suites = map[string]dtls.CipherSuiteID{
	"CCM_8": dtls.TLS_PSK_WITH_AES_128_CCM_8,
	"CCM":   dtls.TLS_PSK_WITH_AES_128_CCM,
	"GCM":   dtls.TLS_PSK_WITH_AES_128_GCM_SHA256,
	"CBC":   dtls.TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256,
}

func check(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(0)
	}
}

func config(kind string, rest []string) *dtls.Config {
	if kind == "psk" {
		return &dtls.Config{
			PSK:             func([]byte) ([]byte, error) { return []byte(rest[1]), nil },
			PSKIdentityHint: []byte(rest[0]),
			CipherSuites:    []dtls.CipherSuiteID{suites[rest[2]]},
		}
	}
	certificate, err := tls.LoadX509KeyPair(rest[0], rest[1])
	check(err)
	anchors := x509.NewCertPool()
	pem, err := os.ReadFile(rest[2])
	check(err)
	anchors.AppendCertsFromPEM(pem)
	return &dtls.Config{
		Certificates: []tls.Certificate{certificate}, RootCAs: anchors, ServerName: "localhost",
		ExtendedMasterSecret: dtls.RequireExtendedMasterSecret,
	}
}

func main() {
	arguments := os.Args[1:]
	limit, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	address, err := net.ResolveUDPAddr("udp", arguments[0])
	check(err)
	connection, err := dtls.Dial("udp", address, config(arguments[2], arguments[3:]))
	check(err)
	check(connection.HandshakeContext(limit))
	message, err := hex.DecodeString(arguments[1])
	check(err)
	_, err = connection.Write(message)
	check(err)
	answer := make([]byte, 2048)
	check(connection.SetReadDeadline(time.Now().Add(3 * time.Second)))
	size, err := connection.Read(answer)
	check(err)
	fmt.Println(hex.EncodeToString(answer[:size]))
	if line, _ := bufio.NewReader(os.Stdin).ReadString('\n'); line == "again\n" {
		_, err = connection.Write(message)
		check(err)
		check(connection.SetReadDeadline(time.Now().Add(10 * time.Second)))
		size, err = connection.Read(answer)
		check(err)
		fmt.Println(hex.EncodeToString(answer[:size]))
	}
	check(connection.Close())
}
