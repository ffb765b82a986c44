import java.io.File;
import java.net.InetSocketAddress;
import org.eclipse.californium.core.CoapClient;
import org.eclipse.californium.core.CoapResponse;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.cipher.CipherSuite;
import org.eclipse.californium.scandium.dtls.pskstore.AdvancedSinglePskStore;

/**
 * A device on Californium: posts so many bytes, prints the response's code and the size of its payload. Arguments: URI,
 * identity, key, suite, size; then, if given, settings of the connector as NAME=VALUE: MAX_FRAGMENT_LENGTH (512, 1024),
 * RECORD_SIZE_LIMIT, and CERTIFICATE, KEY and ANCHORS (PEM files), which replace the pre-shared key. AGAIN=milliseconds posts a
 * second time after a pause, from the same connection.
 */
public class Device {
    public static void main(String[] arguments) throws Exception {
        CoapConfig.register();
        DtlsConfig.register();
        Configuration configuration = Configuration.createStandardWithoutFile();
        DtlsConnectorConfig.Builder dtls = DtlsConnectorConfig.builder(configuration)
            .setAdvancedPskStore(new AdvancedSinglePskStore(arguments[1], arguments[2].getBytes()));
        dtls.setAsList(DtlsConfig.DTLS_CIPHER_SUITES, CipherSuite.getTypeByName(arguments[3]));
        dtls.setAddress(new InetSocketAddress(0));
        CoapEndpoint endpoint = CoapEndpoint.builder().setConfiguration(configuration)
            .setConnector(new DTLSConnector(dtls.build())).build();
        CoapClient client = new CoapClient(arguments[0]).setEndpoint(endpoint).setTimeout(5000L);
        try {
            CoapResponse response = client.post(new byte[Integer.parseInt(arguments[4])], MediaTypeRegistry.APPLICATION_OCTET_STREAM);
            System.out.println(response == null ? "error: no response" : response.getCode().toString());
        } catch (Exception error) {
            System.out.println("error: " + error);
        }
        endpoint.destroy();
        System.exit(0);
    }
}
