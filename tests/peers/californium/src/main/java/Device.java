import java.net.InetSocketAddress;
import org.eclipse.californium.core.CoapClient;
import org.eclipse.californium.core.CoapResponse;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.util.SslContextUtil;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.MaxFragmentLengthExtension.Length;
import org.eclipse.californium.scandium.dtls.cipher.CipherSuite;
import org.eclipse.californium.scandium.dtls.pskstore.AdvancedSinglePskStore;
import org.eclipse.californium.scandium.dtls.x509.SingleCertificateProvider;
import org.eclipse.californium.scandium.dtls.x509.StaticNewAdvancedCertificateVerifier;

/**
 * A device on Californium: posts so many bytes, and prints the response's code and, if there is one, the size of its
 * payload. Arguments: URI, identity, key, suite, size; then, as NAME=VALUE, what the device differs in: FRAGMENT (512 or
 * 1024) and RECORD (bytes) are the limits that it states, BLOCK is the size of the blocks that it sends, KEYS and ANCHORS
 * name PEM files with which it uses a certificate instead of the key. With AGAIN (milliseconds) it posts again after a line
 * on its standard input, and waits for so long.
 */
public class Device {
    private static String option(String[] arguments, String name) {
        for (int i = 5; i < arguments.length; i++) {
            if (arguments[i].startsWith(name + "=")) {
                return arguments[i].substring(name.length() + 1);
            }
        }
        return null;
    }

    private static DtlsConnectorConfig connector(Configuration configuration, String[] arguments) throws Exception {
        DtlsConnectorConfig.Builder dtls = DtlsConnectorConfig.builder(configuration);
        String fragment = option(arguments, "FRAGMENT"), record = option(arguments, "RECORD"), keys = option(arguments, "KEYS");
        if (fragment != null) {
            dtls.set(DtlsConfig.DTLS_MAX_FRAGMENT_LENGTH, Length.valueOf("BYTES_" + fragment));
        }
        if (record != null) {
            dtls.set(DtlsConfig.DTLS_RECORD_SIZE_LIMIT, Integer.valueOf(record));
        }
        if (keys == null) {
            dtls.setAdvancedPskStore(new AdvancedSinglePskStore(arguments[1], arguments[2].getBytes()));
        } else {
            SslContextUtil.Credentials own = SslContextUtil.loadCredentials(keys);
            dtls.setCertificateIdentityProvider(new SingleCertificateProvider(own.getPrivateKey(), own.getCertificateChain()));
            dtls.setAdvancedCertificateVerifier(StaticNewAdvancedCertificateVerifier.builder()
                .setTrustedCertificates(SslContextUtil.loadTrustedCertificates(option(arguments, "ANCHORS"))).build());
        }
        dtls.setAsList(DtlsConfig.DTLS_CIPHER_SUITES, CipherSuite.getTypeByName(arguments[3]));
        dtls.setAddress(new InetSocketAddress(0));
        return dtls.build();
    }

    private static void post(CoapClient client, int size) {
        try {
            CoapResponse response = client.post(new byte[size], MediaTypeRegistry.APPLICATION_OCTET_STREAM);
            if (response == null) {
                System.out.println("error: no response");
            } else {
                int answer = response.getPayload() == null ? 0 : response.getPayload().length;
                System.out.println(response.getCode() + (answer == 0 ? "" : " " + answer));
            }
        } catch (Exception error) {
            System.out.println("error: " + error);
        }
    }

    public static void main(String[] arguments) throws Exception {
        CoapConfig.register();
        DtlsConfig.register();
        Configuration configuration = Configuration.createStandardWithoutFile();
        String block = option(arguments, "BLOCK");
        if (block != null) {
            configuration.set(CoapConfig.PREFERRED_BLOCK_SIZE, Integer.valueOf(block));
            configuration.set(CoapConfig.MAX_MESSAGE_SIZE, Integer.valueOf(block));
        }
        CoapEndpoint endpoint = CoapEndpoint.builder().setConfiguration(configuration)
            .setConnector(new DTLSConnector(connector(configuration, arguments))).build();
        CoapClient client = new CoapClient(arguments[0]).setEndpoint(endpoint).setTimeout(5000L);
        post(client, Integer.parseInt(arguments[4]));
        if (option(arguments, "AGAIN") != null) {
            System.in.read();
            post(client.setTimeout(Long.valueOf(option(arguments, "AGAIN"))), Integer.parseInt(arguments[4]));
        }
        endpoint.destroy();
        System.exit(0);
    }
}
